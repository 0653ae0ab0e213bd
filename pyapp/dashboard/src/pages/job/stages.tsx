import { useEffect, useRef } from "preact/hooks";
import { jobPath } from "../../lib/api";
import { count, duration, plural } from "../../lib/format";
import { useLoaded } from "../../lib/hooks";
import type { Job } from "../../lib/types";
import { Card, Failure } from "../../parts/basics";
import { hasEnded } from "./commands";
import { Clock } from "./event_item";
import { Said } from "./values";

interface Stage {
  stage: string | null;
  seq: number;
  startedAt: string;
  endedAt: string | null;
  seconds: number;
}

const COLOURS = ["bg-blue", "bg-teal", "bg-purple", "bg-orange", "bg-pink", "bg-cyan", "bg-lime", "bg-indigo"];
const MOST_DRAWN = 100;
const MOST_LISTED = 6;
const NONE = "no stage";

/** How long the job was in each of its stages: a bar and a table. */
export function Stages({ job }: { job: Job }) {
  const { data, error, reload } = useLoaded<{ stages: Stage[] }>(jobPath(job.id, "stages"), {}, hasEnded(job) ? 0 : 15);
  const now = `${job.progress.stage} ${job.status}`;
  const shown = useRef(now);
  useEffect(() => {
    if (shown.current !== now) {
      shown.current = now;
      reload();
    }
  }, [now]);
  const stages = data?.stages ?? [];
  // The page already says that the server is away.
  const failure = error?.status ? error : null;
  if (!failure && stages.length === 0) {
    return null;
  }
  const colour = colours(stages);
  return (
    <Card title="Stages">
      {failure && <Failure error={failure} retry={reload} />}
      {stages.length > 0 && <Lane stages={stages.slice(-MOST_DRAWN)} colours={colour} />}
      <Table stages={stages.slice(-MOST_LISTED)} colours={colour} />
      {stages.length > MOST_LISTED && (
        <details class="mt-2">
          <summary>{count(stages.length - MOST_LISTED)} earlier</summary>
          <Table stages={stages.slice(0, -MOST_LISTED)} colours={colour} />
        </details>
      )}
    </Card>
  );
}

/** A stage that is entered again keeps its colour. */
function colours(stages: Stage[]): Map<string | null, string> {
  const found = new Map<string | null, string>();
  for (const { stage } of stages) {
    if (!found.has(stage)) {
      found.set(stage, stage === null ? "bg-secondary" : (COLOURS[found.size % COLOURS.length] ?? ""));
    }
  }
  return found;
}

function Lane({ stages, colours: colour }: { stages: Stage[]; colours: Map<string | null, string> }) {
  const whole = stages.reduce((sum, stage) => sum + stage.seconds, 0);
  return (
    <div
      class="lane lane-tall mb-3"
      role="img"
      aria-label={`${plural(stages.length, "stage")} in ${duration(whole)}, see the table`}
    >
      {stages.map((stage) => (
        <div
          key={stage.seq}
          class={colour.get(stage.stage)}
          style={{ flexGrow: Math.max(stage.seconds, whole / 1000) }}
          title={`${stage.stage ?? NONE}: ${duration(stage.seconds)}`}
        />
      ))}
    </div>
  );
}

function Table({ stages, colours: colour }: { stages: Stage[]; colours: Map<string | null, string> }) {
  return (
    <table class="table table-sm mb-0 stages">
      <thead>
        <tr>
          <th scope="col">Stage</th>
          <th scope="col">Began</th>
          <th scope="col" class="text-end">
            Took
          </th>
        </tr>
      </thead>
      <tbody>
        {stages.map((stage) => (
          <tr key={stage.seq}>
            <td>
              <span class={`colour-dot ${colour.get(stage.stage)}`} aria-hidden="true" />
              {stage.stage === null ? NONE : <Said>{stage.stage}</Said>}
            </td>
            <td class="tabular">
              <Clock at={stage.startedAt} />
            </td>
            <td class="text-end tabular text-nowrap">
              {duration(stage.seconds)}
              {stage.endedAt === null && " so far"}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { jobPath } from "../../lib/api";
import { count, duration } from "../../lib/format";
import { useLoaded } from "../../lib/hooks";
import type { Job, Liveness } from "../../lib/types";
import { Card, Time } from "../../parts/basics";
import { hasEnded } from "./commands";
import { Said } from "./values";

const MOST_LISTED = 8;

/** Whether the job works, waits, is stuck or is silent; read again at each change of its status. */
export function useLiveness(job: Job): Liveness | null {
  const { data, reload } = useLoaded<Liveness>(jobPath(job.id, "liveness"), {}, hasEnded(job) ? 0 : 5);
  const now = `${job.status} ${job.wait?.until} ${job.wait?.reason}`;
  const shown = useRef(now);
  useEffect(() => {
    if (shown.current !== now) {
      shown.current = now;
      reload();
    }
  }, [now]);
  return data;
}

/** Says how a job is that does not report: it waits, it is stuck, or it is silent. Nothing while it works. */
export function LivenessAlert({ job, liveness }: { job: Job; liveness: Liveness | null }) {
  const state = liveness?.state;
  if (!liveness || !state || state === "working" || state === "queued") {
    return null;
  }
  const allowed = liveness.allowedSeconds === null ? "" : duration(liveness.allowedSeconds);
  const last = liveness.since && <Time at={liveness.since} />;
  const alive = liveness.aliveAt && <Time at={liveness.aliveAt} />;
  if (state === "waiting") {
    return (
      <Note colour="alert-wait" title="Waiting">
        <WaitFacts liveness={liveness} />
        {liveness.waitUntil && " No update is expected before that."}
      </Note>
    );
  }
  if (state === "stuck") {
    return (
      <Note colour="alert-warning" title="Alive, no progress">
        {job.status === "waiting" ? "The end of its wait was " : "The last update came "}
        {last}; by its habit an update was due within {allowed}. The last sign of life came {alive}. Look for what
        blocks its crawler.
      </Note>
    );
  }
  if (state === "never_reported") {
    return (
      <Note colour="alert-warning" title="Never reported">
        It was registered {last}, and no crawler has reported on it yet. Check whether its crawler was started.
      </Note>
    );
  }
  return (
    <Note colour="alert-danger" title="Silent">
      {job.status === "waiting" ? "The end of its wait was " : "The last update came "}
      {last}; by its habit an update was due within {allowed}. There has been no sign of life since {alive || "then"}.
      Check whether its crawler is running.
    </Note>
  );
}

function Note({ colour, title, children }: { colour: string; title: string; children: ComponentChildren }) {
  return (
    <div class={`alert ${colour} mb-3 liveness`} role="status">
      <div class="text-body">
        <h2 class="alert-title h4">{title}</h2>
        <p class="mb-0">{children}</p>
      </div>
    </div>
  );
}

function WaitFacts({ liveness }: { liveness: Liveness }) {
  return (
    <>
      {liveness.waitUntil ? (
        <>
          It waits until <Time at={liveness.waitUntil} as="clock" />
        </>
      ) : (
        "It waits"
      )}
      {liveness.reason && (
        <>
          : <Said>{liveness.reason}</Said>
        </>
      )}
      .
    </>
  );
}

/** How long the job has waited, by reason; nothing where it never did. */
export function Waits({ liveness }: { liveness: Liveness | null }) {
  const waited = liveness?.waited;
  if (!waited || waited.reasons.length === 0) {
    return null;
  }
  const shown = waited.reasons.slice(0, MOST_LISTED);
  return (
    <Card title="Time waited" beside={<span class="tabular">{duration(waited.seconds)} in all</span>}>
      <table class="table table-sm mb-0 waits">
        <thead>
          <tr>
            <th scope="col">Reason</th>
            <th scope="col" class="text-end">
              Times
            </th>
            <th scope="col" class="text-end">
              Last began
            </th>
            <th scope="col" class="text-end">
              In all
            </th>
          </tr>
        </thead>
        <tbody>
          {shown.map(({ reason, waits, seconds, lastAt, current }) => (
            <tr key={reason ?? ""}>
              <td>{reason === null ? "no reason given" : <Said>{reason}</Said>}</td>
              <td class="text-end tabular">{count(waits)}</td>
              <td class="text-end">
                <Time at={lastAt} />
              </td>
              <td class="text-end tabular text-nowrap">
                {duration(seconds)}
                {current && " so far"}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {waited.reasons.length > MOST_LISTED && (
        <p class="text-secondary small mt-2 mb-0">and {count(waited.reasons.length - MOST_LISTED)} more</p>
      )}
    </Card>
  );
}

import { serverNow } from "../../lib/clock";
import { about } from "../../lib/format";
import { useTold } from "../../lib/hooks";
import type { Row, Stalled, Wait } from "../../lib/types";
import { Time } from "../../parts/basics";

/** An error in a line. */
export function oneLine({ type, message }: NonNullable<Row["error"]>): string {
  return [type, message].filter(Boolean).join(": ") || "an error without a message";
}

/** Why a job counts as stalled: stuck, silent, or never reported on; for how long, and how long its habit allows. */
export function Silence({ job }: { job: Stalled }) {
  const since = (at: string) => about(Math.max(Math.floor((serverNow() - Date.parse(at)) / 1000), 0));
  const silent = useTold(() => since(job.since));
  const alive = useTold(() => (job.aliveAt ? since(job.aliveAt) : ""));
  const after = job.waitUntil && job.waitUntil === job.since ? " after its wait" : "";
  if (job.state === "never_reported") {
    return <span class="tabular">registered {silent} ago, no report yet</span>;
  }
  if (job.state === "stuck") {
    return (
      <span class="tabular">
        alive {alive} ago, no progress for {silent}
        {after}, usually at most {about(job.allowedSeconds)}
      </span>
    );
  }
  return (
    <span class="tabular">
      silent for {silent}
      {after}, usually at most {about(job.allowedSeconds)}
    </span>
  );
}

/** Until when a job waits, and for what. */
export function WaitText({ wait: { until, reason } }: { wait: Wait }) {
  const known = until && !Number.isNaN(Date.parse(until)) ? until : null;
  return (
    <>
      waits
      {known && (
        <>
          {" until "}
          <Time at={known} as="clock" />
        </>
      )}
      {reason && (
        <>
          : <bdi>{reason}</bdi>
        </>
      )}
    </>
  );
}

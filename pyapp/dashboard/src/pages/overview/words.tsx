import { serverNow } from "../../lib/clock";
import { about } from "../../lib/format";
import { useTold } from "../../lib/hooks";
import type { Row, Stalled } from "../../lib/types";

/** An error in a line. */
export function oneLine({ type, message }: NonNullable<Row["error"]>): string {
  return [type, message].filter(Boolean).join(": ") || "an error without a message";
}

/** How long a job has been silent, and how long its habit allows. */
export function Silence({ job }: { job: Stalled }) {
  const silent = useTold(() => about(Math.floor((serverNow() - Date.parse(job.lastUpdateAt)) / 1000)));
  return (
    <span class="tabular">
      silent for {silent}, usually at most {about(job.allowedSeconds)}
    </span>
  );
}

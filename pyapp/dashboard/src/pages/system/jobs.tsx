import { API } from "../../lib/api";
import { duration, figure } from "../../lib/format";
import { useLoaded } from "../../lib/hooks";
import { MOST_STALLED } from "../../lib/limits";
import { jobAddress } from "../../lib/router";
import type { JobFrequency, Stalled } from "../../lib/types";
import { Time } from "../../parts/basics";
import { Nothing, Part, Table } from "./part";

const MOST_FREQUENT = 10;
const STATES: Record<Stalled["state"], string> = {
  stuck: "alive, no progress",
  silent: "silent",
  never_reported: "never reported",
};

/** Jobs whose updates are overdue. */
export function StalledJobs() {
  const loaded = useLoaded<{ jobs: Stalled[] }>(`${API}/stalled`, { limit: MOST_STALLED }, 10);
  return (
    <Part
      title="Stalled jobs"
      about="Jobs without an update for more than three times the 95th percentile of the time between their updates, the longest silent first; then those that were never reported on."
      loaded={loaded}
    >
      {({ jobs }) =>
        jobs.length === 0 ? (
          <Nothing>None. Every job reports as often as usual.</Nothing>
        ) : (
          <Table
            label="Stalled jobs"
            heads={[
              ["Job"],
              ["State"],
              ["No update for", true],
              ["Usual at most", true],
              ["Sign of life", true],
              ["Last update", true],
            ]}
          >
            {jobs.map((job) => (
              <tr key={job.id}>
                <JobCell id={job.id} />
                <td class={job.state === "stuck" ? "text-stuck" : ""}>{STATES[job.state]}</td>
                <td class="text-end text-stalled fw-bold">{duration(job.silentSeconds)}</td>
                <td class="text-end">{duration(job.allowedSeconds)}</td>
                <td class="text-end">{job.aliveAt ? <Time at={job.aliveAt} /> : "none"}</td>
                <td class="text-end">{job.state === "never_reported" ? "none yet" : <Time at={job.lastUpdateAt} />}</td>
              </tr>
            ))}
          </Table>
        )
      }
    </Part>
  );
}

/** How often running jobs are reported on. */
export function UpdateFrequency() {
  const loaded = useLoaded<{ jobs: JobFrequency[] }>(`${API}/frequency`, { limit: MOST_FREQUENT }, 10);
  return (
    <Part
      title="Update frequency"
      about={`The ${MOST_FREQUENT} running jobs that are reported on most often. 10 to 50 items an update are recommended.`}
      loaded={loaded}
    >
      {({ jobs }) =>
        jobs.length === 0 ? (
          <Nothing>No job is running.</Nothing>
        ) : (
          <Table
            label="Update frequency"
            heads={[
              ["Job"],
              ["Updates/min", true],
              ["Median pause", true],
              ["95% of pauses", true],
              ["Heard of", true],
            ]}
          >
            {jobs.map((job) => (
              <tr key={job.id}>
                <JobCell id={job.id} />
                <td class="text-end">{job.perMinute === null ? "–" : figure(job.perMinute)}</td>
                <td class="text-end">{job.medianGapSeconds === null ? "–" : duration(job.medianGapSeconds)}</td>
                <td class="text-end">{job.longGapSeconds === null ? "–" : duration(job.longGapSeconds)}</td>
                <td class="text-end">{job.lastUpdateAt ? <Time at={job.lastUpdateAt} /> : "–"}</td>
              </tr>
            ))}
          </Table>
        )
      }
    </Part>
  );
}

function JobCell({ id }: { id: string }) {
  return (
    <td class="job-cell">
      <a class="job-id job-name" href={jobAddress(id)} title={id}>
        <bdi>{id}</bdi>
      </a>
    </td>
  );
}

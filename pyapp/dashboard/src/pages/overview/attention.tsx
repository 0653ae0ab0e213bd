import { useEffect } from "preact/hooks";
import { API } from "../../lib/api";
import { boot } from "../../lib/boot";
import { useLoaded } from "../../lib/hooks";
import { MOST_FAILED, MOST_STALLED } from "../../lib/limits";
import { jobAddress } from "../../lib/router";
import type { FailuresPage, Stalled } from "../../lib/types";
import { Time } from "../../parts/basics";
import { oneLine, Silence } from "./words";

/** A phone shows this many of each kind; the style sheet hides the others. */
const FEW = 3;

/**
 * The jobs that somebody should look at, if there are any.
 *
 * @param stalled Jobs that are stuck or silent, then those that were never reported on.
 * @param failures Changes when there may be newly failed jobs.
 */
export function Attention(props: { stalled: Stalled[]; failures: string }) {
  const { stalled, failures } = props;
  const loaded = useLoaded<FailuresPage>(`${API}/failures`, { limit: MOST_FAILED }, 60);
  useEffect(() => {
    if (loaded.data) {
      loaded.reload();
    }
  }, [failures]);
  const failed = (loaded.data ?? boot.failed ?? { jobs: [] }).jobs;
  if (stalled.length + failed.length === 0) {
    return null;
  }
  const overdue = stalled.filter((job) => job.state !== "never_reported");
  const unreported = stalled.filter((job) => job.state === "never_reported");
  return (
    <section class="card mb-3 attention" aria-labelledby="attention">
      <h2 class="card-title attention-title" id="attention">
        Needs attention
      </h2>
      <div class="attention-parts">
        <Overdue title="Stalled" jobs={overdue} more={stalled.length >= MOST_STALLED && unreported.length === 0} />
        <Overdue title="Never reported" jobs={unreported} more={stalled.length >= MOST_STALLED} />
        {failed.length > 0 && (
          <div>
            <h3 class="subheader">Failed in the last 24 hours</h3>
            <ul>
              {failed.map((row) => (
                <li key={row.id}>
                  <JobLink id={row.id} />
                  <span class="text-secondary one-line" title={row.error ? oneLine(row.error) : ""}>
                    <Time at={row.finishedAt ?? row.updatedAt} />
                    {row.error && (
                      <>
                        : <bdi>{oneLine(row.error)}</bdi>
                      </>
                    )}
                  </span>
                </li>
              ))}
            </ul>
            {failed.length > FEW && (
              <p class="attention-all">
                <a href="/?status=failed">All failed jobs</a>
              </p>
            )}
          </div>
        )}
      </div>
    </section>
  );
}

/** Jobs whose updates are overdue. `more`: there may be more of them than were sent. */
function Overdue({ title, jobs, more }: { title: string; jobs: Stalled[]; more: boolean }) {
  if (jobs.length === 0) {
    return null;
  }
  return (
    <div>
      <h3 class="subheader">{title}</h3>
      <ul>
        {jobs.slice(0, MOST_FAILED).map((job) => (
          <li key={job.id}>
            <JobLink id={job.id} />
            <span class={`one-line ${job.state === "stuck" ? "text-stuck" : "text-secondary"}`}>
              <Silence job={job} />
            </span>
          </li>
        ))}
      </ul>
      {jobs.length > FEW && (
        <p class="attention-all text-secondary">
          {jobs.length} in all{more && ", or more"}
        </p>
      )}
    </div>
  );
}

function JobLink({ id }: { id: string }) {
  return (
    <a href={jobAddress(id)} class="one-line" title={id}>
      <bdi>{id}</bdi>
    </a>
  );
}

import { useEffect, useState } from "preact/hooks";

import { jobPath } from "../../lib/api";
import { count, duration, percent, plural, summaryText } from "../../lib/format";
import { useLoaded } from "../../lib/hooks";
import { jobAddress } from "../../lib/router";
import type { Family, Job, Status } from "../../lib/types";
import { Bar, Card, Failure, StatusBadge, statusText, Time } from "../../parts/basics";
import { hasEnded } from "./commands";

const MOST_LISTED = 10;
const SECONDS = 10;

/** What is part of the job: the sums of these jobs, and the first of them. Nothing where there are none. */
export function FamilyCard({ job }: { job: Job }) {
  // The parts of a job may go on when it has ended.
  const [isOver, setOver] = useState(false);
  const { data, error, reload } = useLoaded<Family>(
    jobPath(job.id, "family"),
    { limit: MOST_LISTED },
    isOver ? 0 : SECONDS,
  );
  useEffect(() => setOver(data !== null && hasEnded(job) && (!data.children || data.finishedAt !== null)), [data, job]);
  // The page already says that the server is away.
  const failure = error?.status ? error : null;
  if (!data?.children) {
    return failure ? <Failure error={failure} retry={reload} /> : null;
  }
  const types = Object.entries(data.itemsByType).sort(([, one], [, other]) => other - one);
  return (
    <Card title={`Family: ${plural(data.children, "job")}`}>
      {failure && <Failure error={failure} retry={reload} />}
      <div class="d-flex align-items-baseline gap-3 flex-wrap mb-2">
        {data.percentage !== null && <span class="fs-2 tabular">{percent(data.percentage)}</span>}
        <span class="tabular said">
          <bdi>{summaryText(data.summary)}</bdi>
        </span>
        {data.etaSeconds !== null && (
          <span class="text-secondary tabular">
            {duration(data.etaSeconds)} left
            {data.eta && (
              <>
                , done <Time at={data.eta} as="clock" />
              </>
            )}
            {data.withoutEta > 0 && `; ${plural(data.withoutEta, "job")} without a known end`}
          </span>
        )}
      </div>
      <Bar
        percentage={data.percentage}
        label="Progress of the family"
        status={data.finishedAt ? (data.statuses.failed ? "failed" : "finished") : "running"}
      />
      <p class="mt-2 mb-2 text-secondary small tabular">
        {Object.entries(data.statuses)
          .map(([status, jobs]) => `${count(jobs ?? 0)} ${statusText(status as Status)}`)
          .join(" · ")}
      </p>
      {types.length > 0 && (
        <p class="mb-2 small tabular family-types">
          {types.slice(0, 20).map(([type, items]) => (
            <span key={type}>
              <bdi>{type || "further types"}</bdi> {count(items)}
            </span>
          ))}
        </p>
      )}
      <table class="table table-sm mb-0 family">
        <thead>
          <tr>
            <th scope="col">Job</th>
            <th scope="col">Status</th>
            <th scope="col" class="text-end">
              Progress
            </th>
          </tr>
        </thead>
        <tbody>
          {data.jobs.map((row) => (
            <tr key={row.id}>
              <td>
                <a href={jobAddress(row.id)}>
                  <bdi>{row.id}</bdi>
                </a>
              </td>
              <td>
                <StatusBadge status={row.status} shortfall={row.shortfall} />
              </td>
              <td class="text-end tabular">
                <bdi>{summaryText(row.summary)}</bdi>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {data.next !== null && (
        <p class="mt-2 mb-0">
          <a class="text-decoration-underline" href={`/?parent=${encodeURIComponent(job.id)}`}>
            All {count(data.children)} jobs
          </a>
        </p>
      )}
    </Card>
  );
}

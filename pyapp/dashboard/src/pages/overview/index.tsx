import { API } from "../../lib/api";
import { useLoaded } from "../../lib/hooks";
import { MOST_COUNTED } from "../../lib/limits";
import { usePlace, withParameters } from "../../lib/router";
import type { Statuses } from "../../lib/types";
import { Failure, LiveBadge } from "../../parts/basics";
import { PageBody, PageHead } from "../../parts/layout";
import { askedOf, isFiltered } from "./asked";
import { Attention } from "./attention";
import { Figures } from "./figures";
import { Filters, StatusTabs } from "./filters";
import { useJobs } from "./jobs";
import { NoJobYet, NoneFound } from "./nothing";
import "./overview.css";
import { JobTable } from "./table";

/** All jobs, live, most recently registered first. */
export function OverviewPage() {
  const asked = askedOf(usePlace().parameters);
  const { page, fresh, outdated, totals, liveness, error, retry } = useJobs(asked);
  const counted = useLoaded<Statuses>(totals ? null : `${API}/statuses`, {
    atMost: MOST_COUNTED,
  });
  const statuses = totals?.statuses ?? counted.data;
  const rows = page?.jobs ?? [];
  const filtered = isFiltered(asked);
  const nothingYet = page && !outdated && rows.length === 0 && !filtered && !asked.cursor;
  const failed = statuses?.statuses.failed;
  return (
    <>
      <PageHead title="Overview">{!error && <LiveBadge liveness={liveness} />}</PageHead>
      <PageBody>
        <Figures statuses={statuses} totals={totals} />
        <Attention stalled={totals?.stalled ?? []} failures={String(failed?.jobs)} />
        {error && (
          // A request that is not valid would be refused again.
          <Failure error={error} {...(error.status >= 500 || error.status === 0 ? { retry } : {})} />
        )}
        <section class="card mb-3" aria-label="Jobs">
          <StatusTabs asked={asked} statuses={statuses} />
          <Filters asked={asked} stages={[...new Set(rows.flatMap((row) => row.stage || []))].sort()} />
          {nothingYet ? (
            <NoJobYet />
          ) : page && !outdated && rows.length === 0 ? (
            <NoneFound filtered={filtered} first={asked.cursor && withParameters({ cursor: null })} />
          ) : (
            page && (
              <JobTable
                rows={rows}
                rates={totals?.rates ?? {}}
                stalled={totals?.stalled ?? []}
                fresh={fresh}
                outdated={outdated}
                question={JSON.stringify(asked)}
              />
            )
          )}
          {!page && !error && <p class="loading text-secondary">Reading jobs …</p>}
          {(asked.cursor || page?.next) && (
            <nav class="pager" aria-label="Pages of jobs">
              {asked.cursor ? <a href={withParameters({ cursor: null })}>« First page</a> : <span />}
              {page?.next && (
                <a class="btn" href={withParameters({ cursor: page.next })} rel="next">
                  Older jobs »
                </a>
              )}
            </nav>
          )}
        </section>
      </PageBody>
    </>
  );
}

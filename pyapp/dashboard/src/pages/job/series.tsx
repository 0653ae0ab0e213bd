import { jobPath } from "../../lib/api";
import { count, duration, plural } from "../../lib/format";
import { useLoaded } from "../../lib/hooks";
import { jobAddress, setParameters, usePlace } from "../../lib/router";
import type { Job, JobSeries, Run } from "../../lib/types";
import { Card, Failure, StatusBadge, Time } from "../../parts/basics";
import { hasEnded } from "./commands";

const SECONDS = 15;

/** The job beside the runs of its series before it: what is usual, and when it will be done. Nothing without a series. */
export function SeriesCard({ job }: { job: Job }) {
  const beside = usePlace().parameters.get("with");
  const isRun = typeof job.attributes?.series === "string";
  const { data, error, reload } = useLoaded<JobSeries>(
    isRun ? jobPath(job.id, "series") : null,
    { with: beside },
    hasEnded(job) ? 0 : SECONDS,
  );
  // The page already says that the server is away.
  const failure = error?.status ? error : null;
  if (!data?.comparison) {
    return failure ? <Failure error={failure} retry={reload} /> : null;
  }
  const { comparison, run, runs, other } = data;
  return (
    <Card title={`Series: ${data.series}`}>
      {failure && <Failure error={failure} retry={reload} />}
      {comparison.unusual && (
        <p class="alert alert-warning mb-3" role="alert">
          <span class="text-body">
            Unusual: {count(comparison.items)} items, where each of the {count(comparison.runs)} runs before had at
            least {count(comparison.lowest ?? 0)} at this time.
          </span>
        </p>
      )}
      {comparison.runs === 0 ? (
        <p class="text-secondary mb-0">No run before this one has finished, so there is nothing to compare with.</p>
      ) : (
        <>
          <Lines run={run} runs={runs} other={other ?? null} />
          <dl class="facts mt-3 mb-3">
            <Figure name="Items" beside={`after ${duration(comparison.elapsedSeconds ?? 0)}`}>
              {count(comparison.items)}
            </Figure>
            <Figure
              name="Usual by then"
              beside={`${count(comparison.lowest ?? 0)} to ${count(comparison.highest ?? 0)}, ${plural(comparison.runs, "run")}`}
            >
              {count(Math.round(comparison.usual ?? 0))}
            </Figure>
            <Figure name="Usual in all" beside={`in ${duration(comparison.usualSeconds ?? 0)}`}>
              {count(comparison.usualTotal ?? 0)}
            </Figure>
            {comparison.expectedEnd && (
              <Figure
                name="Expected end"
                beside={
                  <>
                    left: <Time at={comparison.expectedEnd} as="left" />
                  </>
                }
              >
                <Time at={comparison.expectedEnd} as="clock" />
              </Figure>
            )}
          </dl>
        </>
      )}
      {other && <Beside run={run} other={other} />}
      {runs.length > 0 && (
        <table class="table table-sm mb-0 runs">
          <thead>
            <tr>
              <th scope="col">Run before</th>
              <th scope="col">Status</th>
              <th scope="col" class="text-end">
                Items
              </th>
              <th scope="col" class="text-end">
                Took
              </th>
              <th scope="col">
                <span class="visually-hidden">Compare</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {runs.map((one) => (
              <tr key={one.id}>
                <td>
                  <a href={jobAddress(one.id)}>
                    <bdi>{one.id}</bdi>
                  </a>
                </td>
                <td>
                  <StatusBadge status={one.status} shortfall={one.shortfall} />
                </td>
                <td class="text-end tabular">{count(one.items)}</td>
                <td class="text-end tabular text-nowrap">{one.seconds === null ? "–" : duration(one.seconds)}</td>
                <td class="text-end">
                  <button
                    type="button"
                    class={`btn btn-sm ${beside === one.id ? "active" : ""}`}
                    aria-pressed={beside === one.id}
                    aria-label={`Compare with ${one.id}`}
                    onClick={() => setParameters({ with: beside === one.id ? null : one.id }, true)}
                  >
                    Compare
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

function Figure(props: { name: string; beside: preact.ComponentChildren; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{props.name}</dt>
      <dd>
        <span class="tabular">{props.children}</span>
        <div class="text-secondary small tabular">{props.beside}</div>
      </dd>
    </div>
  );
}

const [WIDTH, HEIGHT] = [600, 180];

/** Items over the time since the start: the runs before thin, the one compared with dashed, this one on top. */
function Lines({ run, runs, other }: { run: Run; runs: Run[]; other: Run | null }) {
  const all = [...runs, ...(other ? [other] : []), run];
  const longest = Math.max(1, ...all.map((one) => one.seconds ?? 0));
  const most = Math.max(1, ...all.map((one) => one.items));
  const path = (one: Run) => {
    const points = one.pace.map(([seconds, items]) => [(seconds / longest) * WIDTH, HEIGHT - (items / most) * HEIGHT]);
    return `M0 ${HEIGHT}${points.map(([x, y]) => `H${x?.toFixed(1)}V${y?.toFixed(1)}`).join("")}`;
  };
  return (
    <figure class="pace mb-0">
      <svg
        viewBox={`0 -4 ${WIDTH} ${HEIGHT + 8}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Items over time: this run ${count(run.items)}, the runs before up to ${count(most)}`}
      >
        {runs.map((one) => (
          <path key={one.id} class="pace-before" d={path(one)} />
        ))}
        {other && <path class="pace-other" d={path(other)} />}
        <path class="pace-run" d={path(run)} />
      </svg>
      <figcaption class="text-secondary small tabular">
        <span class="pace-names">
          <span class="pace-name-run">this run</span>
          {other && (
            <span class="pace-name-other">
              <bdi>{other.id}</bdi>
            </span>
          )}
          <span class="pace-name-before">runs before</span>
        </span>
        <span>
          up to {count(most)} items in {duration(longest)}
        </span>
      </figcaption>
    </figure>
  );
}

/** Two runs by type. */
function Beside({ run, other }: { run: Run; other: Run }) {
  const types = [...new Set([...Object.keys(run.itemsByType), ...Object.keys(other.itemsByType)])].sort();
  return (
    <table class="table table-sm mb-3 runs" aria-label="Two runs side by side">
      <thead>
        <tr>
          <th scope="col">Type</th>
          <th scope="col" class="text-end">
            This run
          </th>
          <th scope="col" class="text-end run-id">
            <bdi>{other.id}</bdi>
          </th>
          <th scope="col" class="text-end">
            Difference
          </th>
        </tr>
      </thead>
      <tbody>
        {types.map((type) => (
          <Pair key={type} name={type || "further types"} one={run.itemsByType[type]} two={other.itemsByType[type]} />
        ))}
        <Pair name="All" one={run.items} two={other.items} />
        <tr>
          <th scope="row">Took</th>
          <td class="text-end tabular">{run.seconds === null ? "–" : duration(run.seconds)}</td>
          <td class="text-end tabular">{other.seconds === null ? "–" : duration(other.seconds)}</td>
          <td />
        </tr>
      </tbody>
    </table>
  );
}

function Pair({ name, one = 0, two = 0 }: { name: string; one: number | undefined; two: number | undefined }) {
  const difference = one - two;
  return (
    <tr>
      <th scope="row">
        <bdi>{name}</bdi>
      </th>
      <td class="text-end tabular">{count(one)}</td>
      <td class="text-end tabular">{count(two)}</td>
      <td class="text-end tabular">
        {difference > 0 && "+"}
        {count(difference)}
      </td>
    </tr>
  );
}

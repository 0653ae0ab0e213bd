import { useState } from "preact/hooks";
import { API } from "../../lib/api";
import { count, duration, plural } from "../../lib/format";
import { useLoaded } from "../../lib/hooks";
import type { EndpointFigures, RouteFigures } from "../../lib/types";
import { Time } from "../../parts/basics";
import { Part, Table } from "./part";

/** The goal for an answer, in seconds. */
const GOAL = 0.2;
/** How many routes are shown at first: those with the most requests. */
const FIRST_ROUTES = 10;

/** How the endpoint answers, route by route. */
export function Endpoint() {
  const loaded = useLoaded<EndpointFigures>(`${API}/endpoint`, {}, 10);
  return (
    <Part
      title="Endpoint"
      about={`Requests, and how long the answers took; the goal is ${duration(GOAL)}. Streams are not counted.`}
      loaded={loaded}
      beside={
        loaded.data && (
          <span class="text-secondary me-2">
            counting since <Time at={loaded.data.since} />
          </span>
        )
      }
    >
      {({ routes, groups, replica }) => (
        <>
          {groups.calls > 0 && (
            <p class="text-secondary small part-note">
              Updates per call of the database: {(groups.updates / groups.calls).toFixed(1)} on average,{" "}
              {plural(groups.updates, "update")} in {plural(groups.calls, "call")}.
            </p>
          )}
          {replica && (
            <p class="text-secondary small part-note" role="status">
              {replica.used ? "Reads come from the replica" : "Reads come from the database, not from the replica"}
              {replica.lagSeconds !== null && `, which is ${duration(replica.lagSeconds)} behind`}.
            </p>
          )}
          <Routes routes={routes} />
        </>
      )}
    </Part>
  );
}

function Routes({ routes }: { routes: RouteFigures[] }) {
  const [all, setAll] = useState(false);
  const shown = all ? routes : routes.slice(0, FIRST_ROUTES);
  return (
    <>
      <Table
        label="Requests by route"
        heads={[
          ["Route"],
          ["Requests", true],
          ["4xx", true],
          ["5xx", true],
          ["p50", true],
          ["p95", true],
          ["p99", true],
        ]}
      >
        {shown.map((route) => (
          <tr key={`${route.method} ${route.route}`}>
            <td>
              <code class="route">
                {route.method} {route.route}
              </code>
            </td>
            <td class="text-end">{count(route.requests)}</td>
            <Errors errors={route.errors4xx} route={route} />
            <Errors errors={route.errors5xx} route={route} bad />
            <Latency seconds={route.p50} />
            <Latency seconds={route.p95} />
            <Latency seconds={route.p99} />
          </tr>
        ))}
      </Table>
      {shown.length < routes.length && (
        <div class="card-footer">
          <button type="button" class="btn btn-sm" onClick={() => setAll(true)}>
            Show all {count(routes.length)} routes
          </button>
        </div>
      )}
    </>
  );
}

function Errors({ errors, route, bad = false }: { errors: number; route: RouteFigures; bad?: boolean }) {
  const share = (errors / route.requests) * 100;
  return (
    <td class={`text-end ${bad && errors ? "text-stalled fw-bold" : ""}`}>
      {errors === 0 ? "0" : `${count(errors)} (${share < 1 ? "<1" : Math.round(share)}%)`}
    </td>
  );
}

function Latency({ seconds }: { seconds: number | null }) {
  if (seconds === null) {
    return <td class="text-end">–</td>;
  }
  const slow = seconds > GOAL;
  return (
    <td class={`text-end ${slow ? "text-stalled fw-bold" : ""}`} title={slow ? "slower than the goal" : undefined}>
      {milliseconds(seconds)}
    </td>
  );
}

/** A latency with two significant digits, because it is estimated from buckets. */
function milliseconds(seconds: number): string {
  return seconds < 1 ? `${Number((seconds * 1000).toPrecision(2))} ms` : `${Number(seconds.toPrecision(2))} s`;
}

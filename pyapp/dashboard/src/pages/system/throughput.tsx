import { useMemo } from "preact/hooks";
import { API } from "../../lib/api";
import { count, figure } from "../../lib/format";
import { useLoaded } from "../../lib/hooks";
import type { Throughput as Figures } from "../../lib/types";
import { Chart, type Series } from "../../parts/chart";
import { Part } from "./part";

const MINUTES = 30;

/** Events are whole numbers; ticks between them have no label. */
function whole(value: number): string {
  return Number.isInteger(value) ? count(value) : "";
}

const EVENTS: Series[] = [{ label: "Events a minute", colour: "--tblr-blue", show: whole, bars: true }];
const ERRORS: Series[] = [{ label: "Errors a minute", colour: "--tblr-red", show: whole, bars: true }];

/** Recorded events, minute by minute. */
export function Throughput() {
  const loaded = useLoaded<Figures>(`${API}/throughput`, { minutes: MINUTES + 1 }, 5);
  return (
    <Part
      title="Events and errors"
      about={`For each of the last ${MINUTES} complete minutes.`}
      loaded={loaded}
      beside={
        loaded.data && (
          <span class="tabular me-2">
            <b>{figure(loaded.data.eventsPerSecond)}</b> events/s, <b>{figure(loaded.data.errorsPerMinute)}</b>{" "}
            errors/min just now
          </span>
        )
      }
    >
      {(data) => <Charts data={data} />}
    </Part>
  );
}

function Charts({ data }: { data: Figures }) {
  // The current minute, which is not complete, would look like a drop.
  const minutes = data.minutes.slice(0, -1);
  const known = JSON.stringify(minutes);
  const [times, events, errors] = useMemo(
    () => [
      minutes.map((one) => Date.parse(one.minute) / 1000),
      [minutes.map((one) => one.events)],
      [minutes.map((one) => one.errors)],
    ],
    [known],
  );
  return (
    <div class="row g-3 part-word">
      <div class="col-lg-6">
        <Chart
          times={times}
          values={events}
          series={EVENTS}
          height={180}
          description={inWords(
            "events",
            minutes.map((one) => one.events),
          )}
        />
      </div>
      <div class="col-lg-6">
        <Chart
          times={times}
          values={errors}
          series={ERRORS}
          height={180}
          description={inWords(
            "errors",
            minutes.map((one) => one.errors),
          )}
        />
      </div>
    </div>
  );
}

function inWords(what: string, values: number[]): string {
  const all = values.reduce((sum, value) => sum + value, 0);
  return `${count(all)} ${what} in ${values.length} minutes, ${count(Math.max(0, ...values))} at most in one; ${count(values.at(-1) ?? 0)} in the last one.`;
}

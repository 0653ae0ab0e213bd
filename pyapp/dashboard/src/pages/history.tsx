import { useState } from "preact/hooks";
import { API } from "../lib/api";
import { count, duration, figure } from "../lib/format";
import { useLoaded } from "../lib/hooks";
import { usePlace } from "../lib/router";
import type { Day } from "../lib/types";
import { Card, Empty, Failure } from "../parts/basics";
import { Choice } from "../parts/choice";
import { PageBody, PageHead } from "../parts/layout";
import { Charts } from "./history/charts";
import { day, RANGES, rangeOf, type Sums, share, sumsOf } from "./history/days";
import "./history/history.css";

/** The jobs that ended, day by day. */
export function HistoryPage() {
  const { parameters } = usePlace();
  const range = rangeOf(parameters.get("days"));
  const { data, error, reload } = useLoaded<{ days: Day[] }>(`${API}/days`, { days: range }, 60);
  return (
    <>
      <PageHead title="History">
        <Choice label="How far back" parameter="days" options={RANGES} chosen={String(range)} />
      </PageHead>
      <PageBody>
        {error && <Failure error={error} retry={reload} />}
        {data ? <Found days={data.days} range={range} /> : !error && <p role="status">Reading…</p>}
      </PageBody>
    </>
  );
}

function Found({ days, range }: { days: Day[]; range: number }) {
  const sums = sumsOf(days);
  if (sums.ended === 0) {
    return (
      <div class="card">
        <Empty title={`No job ended in the last ${range} days`}>
          {range < 365 ? "Look further back, or see " : "See "}
          <a class="text-decoration-underline" href="/">
            all jobs
          </a>
          .
        </Empty>
      </div>
    );
  }
  return (
    <>
      <Totals sums={sums} />
      <p class="text-secondary">
        Days are in UTC, and today is not over yet. A job that ended and runs again is not counted.
      </p>
      <Charts days={days} sums={sums} />
      <Table days={days} />
    </>
  );
}

function Totals({ sums }: { sums: Sums }) {
  const totals: [label: string, value: string, more: string][] = [
    [
      "Jobs ended",
      count(sums.ended),
      `${count(sums.finished)} finished, ${count(sums.failed)} failed, ${count(sums.cancelled)} cancelled`,
    ],
    ["Success rate", sums.successRate === null ? "–" : share(sums.successRate), "of those that finished or failed"],
    ["Items", figure(sums.items), "processed by these jobs"],
    ["Duration", sums.typicalSeconds === null ? "–" : duration(sums.typicalSeconds), "median of a typical day"],
  ];
  return (
    <div class="row row-cards mb-3">
      {totals.map(([label, value, more]) => (
        <div class="col-6 col-lg-3" key={label}>
          <div class="card h-100">
            <div class="card-body">
              <div class="subheader">{label}</div>
              <div class="h1 mb-0 tabular">{value}</div>
              <div class="text-secondary small">{more}</div>
            </div>
          </div>
        </div>
      ))}
    </div>
  );
}

const FIRST_ROWS = 14;

function Table({ days }: { days: Day[] }) {
  const [all, setAll] = useState(false);
  const busy = days.filter((one) => one.finished + one.failed + one.cancelled > 0).reverse();
  const shown = all ? busy : busy.slice(0, FIRST_ROWS);
  return (
    <Card title="Days on which jobs ended" padded={false}>
      {/* Scrolls sideways on a phone, also by keyboard. */}
      <section class="table-responsive" aria-label="Days on which jobs ended, as a table" tabIndex={0}>
        <table class="table table-vcenter card-table text-nowrap tabular">
          <thead>
            <tr>
              <th>Day (UTC)</th>
              <th class="text-end">Finished</th>
              <th class="text-end">Failed</th>
              <th class="text-end">Cancelled</th>
              <th class="text-end">Items</th>
              <th class="text-end">Median duration</th>
              <th class="text-end">Success rate</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((one) => (
              <tr key={one.day}>
                <td>
                  <time dateTime={one.day}>{day(one.day)}</time>
                </td>
                <td class="text-end">{count(one.finished)}</td>
                <td class={`text-end ${one.failed ? "text-failed" : ""}`}>{count(one.failed)}</td>
                <td class="text-end">{count(one.cancelled)}</td>
                <td class="text-end">{figure(one.items)}</td>
                <td class="text-end">
                  {one.medianDurationSeconds === null ? "–" : duration(one.medianDurationSeconds)}
                </td>
                <td class="text-end">{one.successRate === null ? "–" : share(one.successRate)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {shown.length < busy.length && (
        <div class="card-footer">
          <button type="button" class="btn btn-sm" onClick={() => setAll(true)}>
            Show all {count(busy.length)} days
          </button>
        </div>
      )}
    </Card>
  );
}

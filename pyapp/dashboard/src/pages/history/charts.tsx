import { count, duration, figure, plural } from "../../lib/format";
import type { Day } from "../../lib/types";
import { Card } from "../../parts/basics";
import { DayChart } from "./day_chart";
import { day, type Sums, share } from "./days";

/** The days as charts. */
export function Charts({ days, sums }: { days: Day[]; sums: Sums }) {
  const dates = days.map((one) => one.day);
  const busiest = largest(days, (one) => one.finished + one.failed + one.cancelled);
  const richest = largest(days, (one) => one.items);
  const slowest = largest(days, (one) => one.medianDurationSeconds ?? 0);
  const worst = largest(days, (one) => (one.successRate === null ? -1 : 1 - one.successRate));
  return (
    <div class="row">
      <div class="col-lg-6">
        <Card title="Jobs ended">
          <DayChart
            days={dates}
            series={[
              {
                label: "cancelled",
                colour: "--tblr-secondary",
                values: days.map((one) => one.cancelled),
                show: whole,
              },
              {
                label: "failed",
                colour: "--tblr-red",
                values: days.map((one) => one.failed),
                show: whole,
              },
              {
                label: "finished",
                colour: "--tblr-green",
                values: days.map((one) => one.finished),
                show: whole,
              },
            ]}
            description={`${plural(sums.ended, "job")} ended in ${days.length} days; most on ${day(busiest.day)}: ${count(busiest.finished)} finished, ${count(busiest.failed)} failed, ${count(busiest.cancelled)} cancelled.`}
          />
        </Card>
      </div>
      <div class="col-lg-6">
        <Card title="Items of these jobs">
          <DayChart
            days={dates}
            series={[
              {
                label: "items",
                colour: "--tblr-blue",
                values: days.map((one) => one.items),
                show: short,
              },
            ]}
            description={`${figure(sums.items)} ${sums.items === 1 ? "item" : "items"} in ${days.length} days; most on ${day(richest.day)}: ${figure(richest.items)}.`}
          />
        </Card>
      </div>
      <div class="col-lg-6">
        <Card title="Median duration">
          <DayChart
            line
            steps={STEPS}
            days={dates}
            series={[
              {
                label: "median of the jobs that ended",
                colour: "--tblr-purple",
                values: days.map((one) => one.medianDurationSeconds),
                show: duration,
              },
            ]}
            description={`How long the jobs of a day took: longest on ${day(slowest.day)}, ${duration(slowest.medianDurationSeconds ?? 0)}.`}
          />
        </Card>
      </div>
      <div class="col-lg-6">
        <Card title="Success rate">
          <DayChart
            line
            highest={1.05}
            days={dates}
            series={[
              {
                label: "finished, of those that finished or failed",
                colour: "--tblr-green",
                values: days.map((one) => one.successRate),
                show: share,
              },
            ]}
            description={`${sums.successRate === null ? "No job finished or failed" : `${share(sums.successRate)} in all`}; lowest on ${day(worst.day)}: ${worst.successRate === null ? "none" : share(worst.successRate)}.`}
          />
        </Card>
      </div>
    </div>
  );
}

const [MINUTE, HOUR, DAY] = [60, 3_600, 86_400];
/** Round durations for the marks of an axis. */
const STEPS = [
  ...[0.001, 0.01, 0.1, 1, 2, 5, 10, 15, 30],
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR),
  ...[1, 2, 5, 10, 20, 50, 100, 500].map((days) => days * DAY),
];

const compact = new Intl.NumberFormat(undefined, {
  notation: "compact",
  maximumSignificantDigits: 3,
});

/** A number for an axis, such as 1.2M. */
function short(value: number): string {
  return compact.format(value);
}

/** Jobs are whole numbers; ticks between them have no label. */
function whole(value: number): string {
  return Number.isInteger(value) ? count(value) : "";
}

function largest(days: Day[], of: (one: Day) => number): Day {
  return days.reduce((best, one) => (of(one) > of(best) ? one : best));
}

import { useEffect, useMemo, useState } from "preact/hooks";
import { ApiError } from "../../lib/api";
import { count, duration, figure, speed } from "../../lib/format";
import type { Job, JobChange } from "../../lib/types";
import { Card, Empty, Failure } from "../../parts/basics";
import { Chart } from "../../parts/chart";
import { extended, MOST_EVENTS, type Point, readPoints, rates, thinned } from "./points";
import type { Subscribe } from "./watch_job";

/** The rate of the job over time, or its total over time. */
export function RateChart({ job, subscribe }: { job: Job; subscribe: Subscribe }) {
  const { points, error, loading, retry } = usePoints(job, subscribe);
  const [totals, setTotals] = useState(false);
  const bars = useMemo(() => rates(points), [points]);
  const line = useMemo(() => thinned(points), [points]);
  const partial = job.lastSeq > MOST_EVENTS;
  const beside = (
    <fieldset class="chips p-0">
      <legend class="visually-hidden">What is drawn</legend>
      {[false, true].map((one) => (
        <button
          key={String(one)}
          type="button"
          class={`chip ${one === totals ? "chip-on" : ""}`}
          aria-pressed={one === totals}
          onClick={() => setTotals(one)}
        >
          {one ? "Total" : "Rate"}
        </button>
      ))}
    </fieldset>
  );
  return (
    <Card title="Over time" beside={points.length > 1 && beside}>
      {error && <Failure error={error} retry={retry} />}
      {loading && <p class="text-secondary">Reading its history…</p>}
      {points.length < 2 ? (
        !error && !loading && <Empty title="Not enough to draw yet">A line takes two reports with counts.</Empty>
      ) : totals ? (
        <Chart
          key="totals"
          times={line.times}
          values={[line.values]}
          series={[{ label: "Items", colour: "--tblr-blue", show: figure }]}
          description={`Items over time: ${count(line.values.at(-1) ?? 0)} by now.`}
        />
      ) : (
        <Chart
          key="rates"
          times={bars.times}
          values={[bars.values]}
          series={[{ label: "Rate", colour: "--tblr-blue", show: speed, bars: true }]}
          description={describe(bars)}
        />
      )}
      {points.length > 1 && (
        <p class="text-secondary small mb-0">
          By the crawler's clock{!totals && `, ${duration(bars.width)} a bar`}
          {partial && `; the newest ${count(MOST_EVENTS)} events and what came since`}.
        </p>
      )}
    </Card>
  );
}

function describe({ values, width }: ReturnType<typeof rates>): string {
  return `Items a second over time, ${duration(width)} a bar: at most ${speed(Math.max(...values))}.`;
}

function usePoints(job: Job, subscribe: Subscribe) {
  const [points, setPoints] = useState<Point[]>([]);
  const [error, setError] = useState<ApiError | null>(null);
  const [loading, setLoading] = useState(true);
  const [turn, setTurn] = useState(0);
  const field = job.progress.processedItems === undefined ? "itemsByType" : "processedItems";
  useEffect(() => {
    const ended = new AbortController();
    let loaded = false;
    const early: JobChange[] = [];
    const unsubscribe = subscribe((change) => {
      if (loaded) {
        setPoints((before) => extended(before, change, field));
      } else {
        early.push(change);
      }
    });
    readPoints(job, field, ended.signal).then(
      (found) => {
        loaded = true;
        setPoints(early.reduce((all, change) => extended(all, change, field), found));
        setLoading(false);
        setError(null);
      },
      (problem) => {
        if (problem instanceof ApiError) {
          setError(problem);
          setLoading(false);
        }
      },
    );
    return () => {
      ended.abort();
      unsubscribe();
    };
  }, [job.id, job.createdAt, field, turn]);
  return { points, error, loading, retry: () => setTurn(turn + 1) };
}

import { get, jobPath } from "../../lib/api";
import type { Job, JobChange, Json, TimelineEvent, TimelinePage } from "../../lib/types";
import { isObject, member } from "./values";

/** A running total: when, in seconds since 1970, and how many. */
export type Point = [at: number, total: number];

interface HistoryPage {
  field: string;
  history: { seq: number; timestamp: string; value: Json }[];
  next: number | null;
}

/** Only this many of the newest events are drawn. */
export const MOST_EVENTS = 2000;
const PAGE = 1000;
/** New points are kept up to this many. */
const MOST_POINTS = 6000;
const MOST_BARS = 60;
/** The possible widths of a bar, in seconds. */
const WIDTHS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400, 604_800];

/**
 * Reads how a job's total grew, over its newest events.
 *
 * @param field What is counted: "processedItems", or "itemsByType" for the sum over all types.
 */
export async function readPoints(job: Job, field: string, signal: AbortSignal): Promise<Point[]> {
  const long = job.lastSeq > MOST_EVENTS;
  return rising(await (long && field === "processedItems" ? readNewest(job, signal) : readAll(job, field, signal)));
}

async function readAll(job: Job, field: string, signal: AbortSignal): Promise<Point[]> {
  let after: number | null = Math.max(job.lastSeq - MOST_EVENTS, 0);
  // The items of the first report were done since the job began.
  const points: Point[] = after === 0 && job.startedAt ? [[Date.parse(job.startedAt) / 1000, 0]] : [];
  for (let pages = 0; after !== null && pages < MOST_EVENTS / PAGE; pages++) {
    const page: HistoryPage = await get(jobPath(job.id, "history"), { field, after, limit: PAGE }, signal);
    for (const { timestamp, value } of page.history) {
      const total = totalOf(value);
      if (total !== null) {
        points.push([Date.parse(timestamp) / 1000, total]);
      }
    }
    after = page.next;
  }
  return points;
}

/**
 * The same for a long job, whose whole ledger the server would have to fold: computed backwards from the current total,
 * with the newest events. A worker's total only rises; what it had before is in its first report.
 */
async function readNewest(job: Job, signal: AbortSignal): Promise<Point[]> {
  const events: TimelineEvent[] = [];
  let after: number | null = job.lastSeq - MOST_EVENTS;
  while (after !== null && after < job.lastSeq) {
    const page: TimelinePage = await get(jobPath(job.id, "timeline"), { after, limit: PAGE }, signal);
    events.push(...page.events.filter((event) => event.seq <= job.lastSeq));
    after = page.next;
  }
  const highest = new Map<string, number>();
  const gains: Point[] = [];
  for (const { timestamp, details } of events) {
    const items = member(details, "processedItems");
    if (typeof items === "number") {
      const worker = JSON.stringify(member(details, "workerId") ?? null);
      const before = highest.get(worker) ?? items;
      highest.set(worker, Math.max(before, items));
      gains.push([Date.parse(timestamp) / 1000, Math.max(items - before, 0)]);
    }
  }
  let total = (job.progress.processedItems ?? 0) - gains.reduce((sum, [, gain]) => sum + gain, 0);
  return gains.map(([at, gain]) => {
    total += gain;
    return [at, total];
  });
}

/** Adds the points of a change: its total is that of its last event, and its gain began with its first event. */
export function extended(points: Point[], { job, events, skipped }: JobChange, field: string): Point[] {
  const total = totalOf(job.progress[field] ?? null);
  const [first, last] = [events[0], events.at(-1)];
  if (total === null) {
    return points;
  }
  if (!first || !last) {
    // The job from an answer, which only has the server's time: a new point only if the total has grown.
    if (total === points.at(-1)?.[1]) {
      return points;
    }
    return kept([...points, [Date.parse(job.updatedAt) / 1000, total]]);
  }
  const before = points.at(-1)?.[1] ?? 0;
  const part = (skipped + 1) / (skipped + events.length);
  return kept([
    ...points,
    [Date.parse(first.timestamp) / 1000, before + (total - before) * part],
    [Date.parse(last.timestamp) / 1000, total],
  ]);
}

function kept(points: Point[]): Point[] {
  return rising(points).slice(-MOST_POINTS);
}

function totalOf(value: Json): number | null {
  if (isObject(value)) {
    return Object.values(value).reduce<number>((sum, items) => sum + (typeof items === "number" ? items : 0), 0);
  }
  return typeof value === "number" ? value : null;
}

/** In the order of time, without years that browsers cannot parse; a late report does not lower the total. */
function rising(points: Point[]): Point[] {
  let highest = 0;
  return points
    .filter(([at]) => Number.isFinite(at))
    .toSorted(([one], [other]) => one - other)
    .map(([at, total]) => {
      highest = Math.max(highest, total);
      return [at, highest];
    });
}

/** The rate in each of some equal parts of the time. Between two reports the rate counts as even. */
export function rates(points: Point[]): { times: number[]; values: number[]; width: number } {
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last) {
    return { times: [], values: [], width: 1 };
  }
  const span = last[0] - first[0];
  const width = WIDTHS.find((one) => span / one < MOST_BARS) ?? Math.ceil(span / MOST_BARS);
  const start = Math.floor(first[0] / width);
  const gained = new Array<number>(Math.floor(last[0] / width) - start + 1).fill(0);
  let [from, before] = first;
  for (const [at, total] of points) {
    for (let place = Math.floor(from / width); place <= Math.floor(at / width); place++) {
      const within = Math.min(at, (place + 1) * width) - Math.max(from, place * width);
      const part = at > from ? within / (at - from) : 1;
      gained[place - start] = (gained[place - start] ?? 0) + (total - before) * part;
    }
    [from, before] = [at, total];
  }
  return {
    times: gained.map((_, place) => (start + place) * width),
    values: gained.map((items) => items / width),
    width,
  };
}

/** No more points than there are pixels. */
export function thinned(points: Point[]): { times: number[]; values: number[] } {
  const step = Math.max(Math.ceil(points.length / 600), 1);
  const kept = points.filter((_, place) => place % step === 0 || place === points.length - 1);
  return {
    times: kept.map(([at]) => at),
    values: kept.map(([, total]) => total),
  };
}

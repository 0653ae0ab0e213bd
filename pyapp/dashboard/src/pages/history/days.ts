import type { Day } from "../../lib/types";

export const RANGES = [7, 30, 90, 365].map((days) => ({
  key: String(days),
  days,
  text: `${days} days`,
}));

/** How many days an address asks for; anything but one of the ranges is a month. */
export function rangeOf(key: string | null): number {
  return RANGES.find((range) => range.key === key)?.days ?? 30;
}

const dayFormat = new Intl.DateTimeFormat(undefined, {
  weekday: "short",
  year: "numeric",
  month: "short",
  day: "numeric",
  timeZone: "UTC",
});

/** A day in UTC as people write it. */
export function day(date: string): string {
  return dayFormat.format(Date.parse(date));
}

export interface Sums {
  finished: number;
  failed: number;
  cancelled: number;
  ended: number;
  items: number;
  /** 0 to 1, null where no job finished or failed. */
  successRate: number | null;
  /** The median of the days' medians; null if no job ended. */
  typicalSeconds: number | null;
}

/** Adds up days. */
export function sumsOf(days: Day[]): Sums {
  const sum = (of: (one: Day) => number) => days.reduce((all, one) => all + of(one), 0);
  const finished = sum((one) => one.finished);
  const failed = sum((one) => one.failed);
  const cancelled = sum((one) => one.cancelled);
  const medians = days.flatMap((one) => one.medianDurationSeconds ?? []).sort((a, b) => a - b);
  return {
    finished,
    failed,
    cancelled,
    ended: finished + failed + cancelled,
    items: sum((one) => one.items),
    successRate: finished + failed > 0 ? finished / (finished + failed) : null,
    typicalSeconds: medians[Math.floor((medians.length - 1) / 2)] ?? null,
  };
}

/** A part of a whole, given as 0 to 1, as a percentage: 100% only for all, and 0% only for none. */
export function share(part: number): string {
  const percent = part * 100;
  return part > 0.999 && part < 1 ? ">99.9%" : `${Number(percent.toFixed(percent < 10 || percent > 99 ? 1 : 0))}%`;
}

/** What the server stops at where it tells of its own accord: as in tallymark/web/live/overview.py and web/pages. */

/** Jobs of each status are counted so far. */
export const MOST_COUNTED = 10_000;
/** So many stalled jobs are told. */
export const MOST_STALLED = 20;
/** So many of the jobs that failed last. */
export const MOST_FAILED = 5;

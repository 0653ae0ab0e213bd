/** Limits of what the server sends by itself; the same as in tallymark/web/live/overview.py and web/pages. */

/** Jobs of each status are counted up to this many. */
export const MOST_COUNTED = 10_000;
/** At most this many stalled jobs are sent. */
export const MOST_STALLED = 20;
/** At most this many of the jobs that failed last. */
export const MOST_FAILED = 5;

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, jobPath } from "../../lib/api";
import { useLive, useLoaded } from "../../lib/hooks";
import type { Liveness } from "../../lib/live";
import type { Job, JobChange } from "../../lib/types";

/** Told each change of the job, in order. What it returns ends that. */
export type Subscribe = (listener: (change: JobChange) => void) => () => void;

export interface WatchedJob {
  /** As it was last heard of; null before that. */
  job: Job | null;
  error: ApiError | null;
  /** It is not there any more. */
  gone: boolean;
  liveness: Liveness;
  subscribe: Subscribe;
  /** Takes the job as an answer had it, such as that to a command. */
  take: (job: Job) => void;
  reload: () => void;
}

/** While nothing comes in by itself, the job is asked for this often. */
const POLL_SECONDS = 5;

/** A job, and whatever happens to it. */
export function useJob(id: string): WatchedJob {
  const [job, setJob] = useState<Job | null>(null);
  const [gone, setGone] = useState(false);
  const listeners = useRef(new Set<(change: JobChange) => void>()).current;

  const hear = useCallback((change: JobChange) => {
    setGone(false);
    setJob((before) => (before && isOlder(change.job, before) ? before : change.job));
    for (const listener of [...listeners]) {
      listener(change);
    }
  }, []);
  const take = useCallback((next: Job) => {
    hear({
      id: next.id,
      lastSeq: next.lastSeq,
      tag: "",
      job: next,
      events: [],
      skipped: 0,
    });
  }, []);
  const subscribe = useCallback<Subscribe>((listener) => {
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }, []);

  const liveness = useLive({ job: id }, { job: hear, gone: () => setGone(true) });
  const heard = liveness === "live" || liveness === "polling";
  const asked = useLoaded<Job>(jobPath(id), { timelineLimit: 0 }, heard ? 0 : POLL_SECONDS);
  useEffect(() => {
    if (asked.data) {
      take(asked.data);
    }
  }, [asked.data]);
  return {
    job,
    // What could not be asked for matters no more where the job is heard of.
    error: heard && job ? null : asked.error,
    gone,
    liveness,
    subscribe,
    take,
    reload: asked.reload,
  };
}

/** Answers may overtake each other. One made anew under the same id begins again at 0. */
function isOlder(one: Job, other: Job): boolean {
  return one.createdAt === other.createdAt && one.lastSeq < other.lastSeq;
}

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, jobPath } from "../../lib/api";
import { useLive, useLoaded } from "../../lib/hooks";
import type { Liveness } from "../../lib/live";
import type { Job, JobChange } from "../../lib/types";

/** Called with each change of the job, in order. Returns a function that ends it. */
export type Subscribe = (listener: (change: JobChange) => void) => () => void;

export interface WatchedJob {
  /** The last known job; null before the first answer. */
  job: Job | null;
  error: ApiError | null;
  /** The job was deleted. */
  gone: boolean;
  liveness: Liveness;
  /** Rises when everything that was read of the job is out of date: its ledger was replaced. */
  turn: number;
  subscribe: Subscribe;
  /** Takes the job from an answer, such as that to a command. */
  take: (job: Job) => void;
  reload: () => void;
}

/** How often the job is read while the watch brings nothing. */
const POLL_SECONDS = 5;

/** A job, and whatever happens to it. */
export function useJob(id: string): WatchedJob {
  const [job, setJob] = useState<Job | null>(null);
  const [gone, setGone] = useState(false);
  const [turn, setTurn] = useState(0);
  const listeners = useRef(new Set<(change: JobChange) => void>()).current;

  const hear = useCallback((change: JobChange) => {
    setGone(false);
    if (change.reset) {
      // The parts of the page begin again with this job, and read what they need.
      setJob(change.job);
      setTurn((before) => before + 1);
      return;
    }
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
    // An earlier error no longer matters once the job arrives.
    error: heard && job ? null : asked.error,
    gone,
    liveness,
    turn,
    subscribe,
    take,
    reload: asked.reload,
  };
}

/** Answers may overtake each other. Another job under the same id begins again at 0. */
function isOlder(one: Job, other: Job): boolean {
  return one.createdAt === other.createdAt && one.lastSeq < other.lastSeq;
}

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { API, ApiError, get } from "../../lib/api";
import { serverNow } from "../../lib/clock";
import type { Loaded } from "../../lib/hooks";
import type { ErrorGroup, ErrorsDocument } from "../../lib/types";

/** How far back one may look, as it stands in the address. */
export const WINDOWS = [
  { key: "1h", hours: 1, text: "1 hour" },
  { key: "24h", hours: 24, text: "24 hours" },
  { key: "7d", hours: 7 * 24, text: "7 days" },
  { key: "30d", hours: 30 * 24, text: "30 days" },
] as const;

export type Window = (typeof WINDOWS)[number];

/** As many groups as are asked for at once. */
export const MOST_GROUPS = 500;
const EVERY_MS = 10_000;

/** The window that an address names; what is none of them is the last day. */
export function windowOf(key: string | null): Window {
  return WINDOWS.find((one) => one.key === key) ?? WINDOWS[1];
}

interface State {
  hours: number;
  data: ErrorsDocument | null;
  error: ApiError | null;
  loading: boolean;
}

/** The errors of the last so many hours, read again every 10 s: where the window begins moves along with the time. */
export function useErrors(hours: number): Loaded<ErrorsDocument> {
  const [state, setState] = useState<State>({
    hours,
    data: null,
    error: null,
    loading: true,
  });
  const [turn, setTurn] = useState(0);
  const reload = useCallback(() => setTurn((number) => number + 1), []);
  useEffect(() => {
    const controller = new AbortController();
    const since = new Date(serverNow() - hours * 3_600_000).toISOString();
    setState((before) =>
      before.hours === hours ? { ...before, loading: true } : { hours, data: null, error: null, loading: true },
    );
    get<ErrorsDocument>(`${API}/errors`, { since, limit: MOST_GROUPS }, controller.signal)
      .then((data) => setState({ hours, data, error: null, loading: false }))
      .catch((error) => {
        if (!controller.signal.aborted) {
          const told = error instanceof ApiError ? error : new ApiError(0, null);
          setState((before) => ({ ...before, error: told, loading: false }));
        }
      });
    const timer = window.setInterval(() => document.hidden || reload(), EVERY_MS);
    return () => {
      controller.abort();
      window.clearInterval(timer);
    };
  }, [hours, turn]);
  return {
    data: state.hours === hours ? state.data : null,
    error: state.error,
    loading: state.loading,
    reload,
  };
}

/** What tells a group from the others. */
export function keyOf(group: ErrorGroup): string {
  return JSON.stringify([group.type, group.message]);
}

/** Those of the groups that have every word of a text somewhere. */
export function search(groups: ErrorGroup[], text: string): ErrorGroup[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return groups.filter((group) => {
    const all = [group.type, group.message, group.sample.message, group.sample.taskId].join("\n").toLowerCase();
    return words.every((word) => all.includes(word));
  });
}

/**
 * Keeps the order in which groups are shown while somebody points at them, so that none slips away from under the
 * pointer; those that are new come last until then.
 */
export function useSteady(groups: ErrorGroup[], held: boolean): ErrorGroup[] {
  const order = useRef<string[]>([]);
  if (!held) {
    order.current = groups.map(keyOf);
    return groups;
  }
  const places = new Map(order.current.map((key, place) => [key, place]));
  const place = (group: ErrorGroup) => places.get(keyOf(group)) ?? Number.POSITIVE_INFINITY;
  return [...groups].sort((a, b) => (place(a) === place(b) ? 0 : place(a) - place(b)));
}

import { useRef } from "preact/hooks";
import { API } from "../../lib/api";
import { type Loaded, useLoaded } from "../../lib/hooks";
import type { ErrorGroup, ErrorsDocument } from "../../lib/types";

/** The choices of how far back to look, as in the address. */
export const WINDOWS = [
  { key: "1h", hours: 1, text: "1 hour" },
  { key: "24h", hours: 24, text: "24 hours" },
  { key: "7d", hours: 7 * 24, text: "7 days" },
  { key: "30d", hours: 30 * 24, text: "30 days" },
] as const;

export type Window = (typeof WINDOWS)[number];

/** How many groups are requested at once. */
export const MOST_GROUPS = 500;
const EVERY_SECONDS = 10;

/** The window that an address names; anything else is the last day. */
export function windowOf(key: string | null): Window {
  return WINDOWS.find((one) => one.key === key) ?? WINDOWS[1];
}

/** The errors of the last so many hours, read again 10 s after each answer, because the window moves. */
export function useErrors(hours: number): Loaded<ErrorsDocument> {
  const asked = { since: { hoursAgo: hours }, limit: MOST_GROUPS };
  return useLoaded<ErrorsDocument>(`${API}/errors`, asked, EVERY_SECONDS);
}

/** What identifies a group. */
export function keyOf(group: ErrorGroup): string {
  return JSON.stringify([group.type, group.message]);
}

/** The groups that contain every word of a text. */
export function search(groups: ErrorGroup[], text: string): ErrorGroup[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return groups.filter((group) => {
    const all = [group.type, group.message, group.sample.message, group.sample.taskId].join("\n").toLowerCase();
    return words.every((word) => all.includes(word));
  });
}

/**
 * Keeps the order of the groups while the viewer points at them, so that none moves away from under the pointer; new
 * groups come last until then.
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

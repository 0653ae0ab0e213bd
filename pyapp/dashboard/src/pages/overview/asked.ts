import { query } from "../../lib/api";
import { boot } from "../../lib/boot";
import type { OverviewPage } from "../../lib/types";

/** The filters of the overview, with the names of the API. */
export const FILTERS = ["status", "stage", "operationType", "currentDataType", "itemType", "q"] as const;

/** Which jobs the address asks for: the filters, `limit` and `cursor`. */
export type Asked = Record<(typeof FILTERS)[number] | "limit" | "cursor", string | null>;

export function askedOf(parameters: URLSearchParams): Asked {
  const names = [...FILTERS, "limit", "cursor"] as const;
  return Object.fromEntries(names.map((name) => [name, parameters.get(name) || null])) as Asked;
}

export function isFiltered(asked: Asked): boolean {
  return FILTERS.some((name) => asked[name]);
}

const KEPT = 20;
const kept = new Map<string, OverviewPage>();

/** Keeps the last version of a page of jobs, for when the viewer comes back to it. */
export function keep(key: string, page: OverviewPage): void {
  kept.delete(key);
  kept.set(key, page);
  for (const oldest of kept.keys()) {
    if (kept.size <= KEPT) {
      break;
    }
    kept.delete(oldest);
  }
}

export function keptPage(key: string): OverviewPage | null {
  return kept.get(key) ?? null;
}

// The page that was sent along with the document is the one that its address asks for.
if (boot.first && location.pathname === "/") {
  keep(query(askedOf(new URLSearchParams(location.search))), boot.first);
}

import { query } from "../../lib/api";
import { boot } from "../../lib/boot";
import type { OverviewPage } from "../../lib/types";

/** The filters of the overview, with the names of the API. */
export const FILTERS = [
  "status",
  "stage",
  "operationType",
  "currentDataType",
  "itemType",
  "series",
  "parent",
  "q",
] as const;

/** What the name of a filter by an attribute begins with. */
export const ATTRIBUTE = "attribute.";

/** Which jobs the address asks for: the filters, those by attributes among them, `limit` and `cursor`. */
export type Asked = Record<(typeof FILTERS)[number] | "limit" | "cursor", string | null> &
  Partial<Record<`${typeof ATTRIBUTE}${string}`, string>>;

export function askedOf(parameters: URLSearchParams): Asked {
  const names = [...FILTERS, "limit", "cursor"] as const;
  const attributes = [...parameters].filter(([name, value]) => name.startsWith(ATTRIBUTE) && value);
  return {
    ...Object.fromEntries(names.map((name) => [name, parameters.get(name) || null])),
    ...Object.fromEntries(attributes),
  } as Asked;
}

/** The attributes that are asked for, by their names. */
export function attributesOf(asked: Asked): [string, string][] {
  return Object.entries(asked)
    .filter((entry): entry is [string, string] => entry[0].startsWith(ATTRIBUTE) && Boolean(entry[1]))
    .map(([name, value]) => [name.slice(ATTRIBUTE.length), value]);
}

export function isFiltered(asked: Asked): boolean {
  return FILTERS.some((name) => asked[name]) || attributesOf(asked).length > 0;
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

import { API } from "../../lib/api";
import { type Loaded, useLoaded } from "../../lib/hooks";
import type { Area } from "../../lib/types";

/** How many areas are requested at once. */
const MOST = 2_000;

export interface Branch {
  area: Area;
  /** Whether there are areas below it; null if unknown. */
  more: boolean | null;
}

export interface Level {
  /** The area that the level belongs to; null for the top, and if nobody discovered it. */
  root: Area | null;
  branches: Branch[];
  /** Whether there are more than were asked for. */
  cut: boolean;
}

/**
 * Reads the areas below an area, and one level deeper, to know which of them can be unfolded.
 *
 * @param root The path of the area; null for all at the top.
 */
export function useLevel(root: string | null): Omit<Loaded<Area[]>, "data"> & { level: Level | null } {
  const first = root === null ? 0 : 1;
  const deep = useLoaded<{ areas: Area[] }>(`${API}/areas`, { root, depth: first + 1, limit: MOST });
  const tooMany = (deep.data?.areas.length ?? 0) >= MOST;
  // Areas of the deeper level may have used up the limit.
  const flat = useLoaded<{ areas: Area[] }>(tooMany ? `${API}/areas` : null, { root, depth: first, limit: MOST });
  const { data, error, loading, reload } = tooMany ? flat : deep;
  return { level: data && levelOf(data.areas, first, tooMany), error, loading, reload };
}

function levelOf(areas: Area[], first: number, flat: boolean): Level {
  const branches: Branch[] = [];
  for (const area of areas) {
    const last = branches.at(-1);
    if (area.depth === first) {
      branches.push({ area, more: flat ? null : false });
    } else if (area.depth > first && last) {
      last.more = true;
    }
  }
  return { root: first === 0 ? null : (areas[0] ?? null), branches, cut: flat && areas.length >= MOST };
}

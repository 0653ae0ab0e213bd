import { useEffect, useState } from "preact/hooks";
import { API, type ApiError, query } from "../../lib/api";
import { useLive, useLoaded } from "../../lib/hooks";
import type { Liveness } from "../../lib/live";
import type { OverviewChange, OverviewPage, Row, Totals } from "../../lib/types";
import { type Asked, keep, keptPage } from "./asked";

interface State {
  /** The request that the page answers. */
  key: string;
  page: OverviewPage | null;
  /** Jobs that were added at the top while the viewer looked. */
  fresh: ReadonlySet<string>;
}

export interface Jobs {
  /** Null before the first answer; while another request is under way, the answer to the previous one. */
  page: OverviewPage | null;
  fresh: ReadonlySet<string>;
  /** Whether the page does not answer the current address yet. */
  outdated: boolean;
  /** The figures of the whole system; null before they arrive. */
  totals: Totals | null;
  liveness: Liveness;
  error: ApiError | null;
  retry: () => void;
}

const NONE: ReadonlySet<string> = new Set();

/** The jobs that are asked for, kept up to date. */
export function useJobs(asked: Asked): Jobs {
  const key = query(asked);
  const [state, setState] = useState<State>(() => ({
    key,
    page: keptPage(key),
    fresh: NONE,
  }));
  const [totals, setTotals] = useState<Totals | null>(null);
  const known = state.key === key && state.page ? state.page : keptPage(key);
  const liveness = useLive(
    { view: "overview", ...asked },
    {
      overview: (change: OverviewChange) =>
        setState((before) => {
          const page = before.key === key && before.page ? before.page : keptPage(key);
          const fresh = before.key === key ? before.fresh : NONE;
          return {
            key,
            page: changed(page, change),
            fresh: page && !asked.cursor ? risen(page, change, fresh) : NONE,
          };
        }),
      totals: setTotals,
    },
  );
  // The stream sends all of this too, but it cannot say what is wrong with a request.
  const { data, error, reload } = useLoaded<OverviewPage>(known ? null : `${API}/overview${key}`);
  useEffect(() => {
    if (data) {
      setState((before) => (before.key === key && before.page ? before : { key, page: data, fresh: NONE }));
    }
  }, [data]);
  useEffect(() => {
    if (state.page) {
      keep(state.key, state.page);
    }
  }, [state]);
  return {
    page: known ?? state.page,
    fresh: state.key === key ? state.fresh : NONE,
    outdated: !known && state.page !== null,
    totals,
    liveness,
    error: known ? null : error,
    retry: reload,
  };
}

/** The page after a change. Rows that did not change stay the same objects. */
function changed(page: OverviewPage | null, change: OverviewChange): OverviewPage {
  const rows = new Map<string, Row>();
  for (const row of [...(page?.jobs ?? []), ...change.rows]) {
    rows.set(row.id, row);
  }
  return {
    jobs: change.order.flatMap((id) => rows.get(id) ?? []),
    next: change.next,
  };
}

/** The jobs that are new at the top, and those that were new before. */
function risen(page: OverviewPage, change: OverviewChange, fresh: ReadonlySet<string>): ReadonlySet<string> {
  const before = new Set(page.jobs.map((row) => row.id));
  const known = change.order.findIndex((id) => before.has(id));
  const above = change.order.slice(0, known < 0 ? undefined : known);
  const order = new Set(change.order);
  return above.length > 0 ? new Set([...fresh, ...above].filter((id) => order.has(id))) : fresh;
}

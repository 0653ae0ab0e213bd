import { useEffect, useRef, useState } from "preact/hooks";
import type { Rate, Row, Stalled } from "../../lib/types";
import { JobLine } from "./line";

/** Jobs, a line each. */
export function JobTable(props: {
  rows: Row[];
  rates: Record<string, Rate>;
  stalled: Stalled[];
  fresh: ReadonlySet<string>;
  outdated: boolean;
  /** The request that the rows answer. */
  question: string;
}) {
  const { rows, rates, stalled, fresh, outdated, question } = props;
  const { shown, waiting, release, ...holding } = useCalm(rows, outdated ? null : question);
  const silent = new Map(stalled.map((job) => [job.id, job]));
  return (
    <div class="job-table-frame">
      {waiting > 0 && (
        <button type="button" class="btn btn-sm btn-primary newer" onClick={release}>
          {waiting === 1 ? "1 newer job" : `${waiting} newer jobs`}
        </button>
      )}
      <table role="table" class={`job-table ${outdated ? "outdated" : ""}`} aria-busy={outdated}>
        <caption class="visually-hidden">Jobs, most recently registered first</caption>
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader" scope="col" class="cell-job">
              Job
            </th>
            <th role="columnheader" scope="col" class="cell-status">
              Status
            </th>
            <th role="columnheader" scope="col" class="cell-progress">
              Progress
            </th>
            <th role="columnheader" scope="col" class="cell-stage">
              Stage
            </th>
            <th role="columnheader" scope="col" class="cell-rate">
              Rate
            </th>
            <th role="columnheader" scope="col" class="cell-left">
              Time left
            </th>
            <th role="columnheader" scope="col" class="cell-updated">
              Updated
            </th>
            <th role="columnheader" scope="col" class="cell-notes">
              <span class="visually-hidden">Notes</span>
            </th>
          </tr>
        </thead>
        <tbody role="rowgroup" {...holding}>
          {shown.map((row) => (
            <JobLine
              key={row.id}
              row={row}
              rate={rates[row.id]}
              stalled={silent.get(row.id)}
              fresh={fresh.has(row.id)}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

/**
 * Keeps rows where they are while the viewer points at them or has one of them in focus, so that nobody clicks on a row
 * that has just moved under the pointer. The contents of the rows still change.
 *
 * @param question The request that the rows answer; rows of another request are shown at once. Null holds nothing.
 */
function useCalm(rows: Row[], question: string | null) {
  const [held, setHeld] = useState<Row[] | null>(null);
  const pointed = useRef(false);
  const focused = useRef(false);
  const current = useRef(rows);
  current.current = rows;
  function settle() {
    const hold = pointed.current || focused.current;
    setHeld((before) => (hold ? (before ?? current.current) : null));
  }
  const release = () => setHeld(pointed.current || focused.current ? current.current : null);
  useEffect(() => {
    pointed.current = focused.current = false;
    setHeld(null);
  }, [question]);
  const newest = new Map(rows.map((row) => [row.id, row]));
  const shown = held ? held.map((row) => newest.get(row.id) ?? row) : rows;
  const there = new Set(shown.map((row) => row.id));
  const firstKnown = rows.findIndex((row) => there.has(row.id));
  return {
    shown,
    waiting: held ? (firstKnown < 0 ? rows.length : firstKnown) : 0,
    release,
    onPointerMove: (event: PointerEvent) => {
      // A finger does not hover.
      if (event.pointerType === "mouse" && !pointed.current && question !== null) {
        pointed.current = true;
        settle();
      }
    },
    onPointerLeave: () => {
      pointed.current = false;
      settle();
    },
    onFocusIn: (event: FocusEvent) => {
      // Focus by a click is handled with the pointer.
      focused.current = event.target instanceof Element && event.target.matches(":focus-visible") && question !== null;
      settle();
    },
    onFocusOut: () => {
      focused.current = false;
      settle();
    },
  };
}

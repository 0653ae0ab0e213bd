import { useState } from "preact/hooks";
import { count, plural } from "../../lib/format";
import type { Book } from "../../lib/types";
import { Card } from "../../parts/basics";
import { Said } from "./values";

/** How many types have a line each; the others unfold. */
const MOST = 10;
/** What stands under the empty name: the server names so many types and sums the others. */
const FURTHER = "further types";
/** The parts of a bar, in the order in which they are drawn. */
const PARTS: [part: "done" | "failed" | "skipped" | "left", title: string, colour: string][] = [
  ["done", "Done", "bg-green"],
  ["failed", "Failed", "bg-red"],
  ["skipped", "Skipped", "bg-secondary"],
  ["left", "Left", "books-left"],
];

/**
 * What became of the items of each type, and how many are left.
 *
 * @param ended Whether the job has finished: what is left then is missing.
 */
export function Books({ books, ended }: { books: Record<string, Book>; ended: boolean }) {
  const [open, setOpen] = useState(false);
  const types = Object.entries(books).sort(
    ([name, one], [otherName, other]) => (other.left ?? 0) - (one.left ?? 0) || (name < otherName ? -1 : 1),
  );
  const shown = open || types.length <= MOST + 1 ? types : types.slice(0, MOST);
  return (
    <Card title="Books" beside={<Legend />}>
      <div class="books-frame">
        <table role="table" class="books tabular" aria-label="Books">
          <thead role="rowgroup">
            <tr role="row">
              <th role="columnheader">Type</th>
              {PARTS.map(([part, title]) => (
                <th role="columnheader" key={part} class="text-end">
                  {title}
                </th>
              ))}
              <th role="columnheader" class="text-end">
                Total
              </th>
            </tr>
          </thead>
          <tbody role="rowgroup">
            {shown.map(([name, book]) => (
              <Line key={name} name={name} book={book} ended={ended} />
            ))}
          </tbody>
        </table>
      </div>
      {shown.length < types.length && (
        <button type="button" class="btn btn-sm mt-2" onClick={() => setOpen(true)}>
          {plural(types.length - shown.length, "more type")}
        </button>
      )}
    </Card>
  );
}

function Legend() {
  return (
    <span class="books-legend small text-secondary" aria-hidden="true">
      {PARTS.map(([part, title, colour]) => (
        <span key={part} class="text-nowrap">
          <span class={`colour-dot ${colour}`} />
          {title}
        </span>
      ))}
    </span>
  );
}

function Line({ name, book, ended }: { name: string; book: Book; ended: boolean }) {
  const isShort = ended && !!book.left;
  return (
    <tr role="row" data-type={name}>
      <th role="rowheader" class="book-name">
        {name ? <Said>{name}</Said> : FURTHER}
      </th>
      {PARTS.map(([part, title]) => (
        <td role="cell" key={part} data-label={title} class={part === "left" && isShort ? "missing" : ""}>
          {known(book[part])}
        </td>
      ))}
      <td role="cell" data-label="Total">
        {known(book.total)}
        {!!book.over && <div class="missing small">{count(book.over)} over</div>}
      </td>
      <td role="cell" class="book-bar" aria-hidden="true">
        <Parts book={book} ended={ended} />
      </td>
    </tr>
  );
}

/** A bar of all items; where the total is not known it is drawn neither as empty nor as full. */
function Parts({ book, ended }: { book: Book; ended: boolean }) {
  if (book.total === null) {
    return <div class="lane bar-unknown" />;
  }
  const parts = PARTS.filter(([part]) => book[part]);
  if (parts.length === 0) {
    return <div class="lane books-left" />;
  }
  return (
    <div class="lane">
      {parts.map(([part, title, colour]) => (
        <div
          key={part}
          class={part === "left" && ended ? "bg-orange" : colour}
          style={{ flexGrow: book[part] ?? 0 }}
          title={`${title}: ${count(book[part] ?? 0)}`}
        />
      ))}
    </div>
  );
}

function known(value: number | null): string {
  return value === null ? "–" : count(value);
}

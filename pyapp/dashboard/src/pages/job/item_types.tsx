import { useState } from "preact/hooks";
import { count, plural } from "../../lib/format";
import type { Progress } from "../../lib/types";
import { Card, Empty } from "../../parts/basics";
import { Said } from "./values";

const COLOURS = ["bg-blue", "bg-teal", "bg-orange", "bg-purple", "bg-pink", "bg-lime", "bg-cyan", "bg-yellow"];
const REST = "bg-secondary";
/** What stands under the empty name: the server names so many types and sums the others. */
const FURTHER = "further types";
/** How many types have a bar each; the others share a line that unfolds. */
const MOST = 10;

interface Counted {
  name: string;
  items: number;
  /** The share of all items, 0 to 1. */
  share: number;
  colour: string;
}

/** How many items there are of each type: how they are distributed, and a bar for each. */
export function ItemTypes({ progress }: { progress: Progress }) {
  const counts = Object.entries(progress.itemsByType ?? {});
  const sum = counts.reduce((all, [, items]) => all + items, 0);
  const types = counts
    .sort(([name, items], [otherName, others]) => others - items || (name < otherName ? -1 : 1))
    .map(([name, items], place) => ({
      name,
      items,
      share: sum > 0 ? items / sum : 0,
      colour: COLOURS[place] ?? REST,
    }));
  const [first, rest] = types.length > MOST + 1 ? [types.slice(0, MOST), types.slice(MOST)] : [types, []];
  return (
    <Card
      title="Items by type"
      beside={types.length > 0 && <Sum types={types.filter(({ name }) => name).length} items={sum} />}
    >
      {types.length === 0 ? (
        <Empty title="Nothing counted yet">
          Bars appear when the crawler reports <code>itemsByType</code>.
        </Empty>
      ) : (
        <>
          {sum > 0 && <Distribution types={types} />}
          <Bars types={first} largest={types[0]?.items ?? 0} />
          {rest.length > 0 && <Rest types={rest} largest={types[0]?.items ?? 0} />}
        </>
      )}
    </Card>
  );
}

function Sum({ types, items }: { types: number; items: number }) {
  return (
    <span class="text-secondary tabular">
      {plural(items, "item")}, {plural(types, "type")}
    </span>
  );
}

/** All items as one bar, in which each type has its share. */
function Distribution({ types }: { types: Counted[] }) {
  const named = types.slice(0, COLOURS.length);
  const other = types.slice(COLOURS.length).reduce((all, type) => all + type.share, 0);
  const told = named.slice(0, 3).map((type) => `${type.name || FURTHER} ${share(type.share)}`);
  const description = `Distribution of the items: ${told.join(", ")}${types.length > 3 ? " and others" : ""}`;
  return (
    <div class="lane mb-3" role="img" aria-label={description} data-chart="distribution">
      {named
        .filter((type) => type.share > 0)
        .map((type) => (
          <div
            key={type.name}
            class={type.colour}
            style={{ flexGrow: type.share }}
            title={`${type.name || FURTHER}: ${share(type.share)}`}
          />
        ))}
      {other > 0 && <div class={REST} style={{ flexGrow: other }} title={`others: ${share(other)}`} />}
    </div>
  );
}

function Bars({ types, largest }: { types: Counted[]; largest: number }) {
  return (
    <ul class="type-bars" aria-label="Items by type">
      {types.map((type) => (
        <li key={type.name} data-type={type.name}>
          <span class="type-name text-truncate" title={type.name || FURTHER}>
            <span class={`colour-dot ${type.colour}`} aria-hidden="true" />
            {type.name ? <Said>{type.name}</Said> : FURTHER}
          </span>
          <span class="type-count tabular">{count(type.items)}</span>
          <span class="type-share tabular text-secondary">{share(type.share)}</span>
          <span class="type-bar" aria-hidden="true">
            <span
              class={type.colour}
              style={{
                width: `${largest > 0 ? Math.max((type.items / largest) * 100, type.items > 0 ? 0.5 : 0) : 0}%`,
              }}
            />
          </span>
        </li>
      ))}
    </ul>
  );
}

function Rest({ types, largest }: { types: Counted[]; largest: number }) {
  const [open, setOpen] = useState(false);
  const items = types.reduce((all, type) => all + type.items, 0);
  return (
    <details open={open} onToggle={(toggled) => setOpen(toggled.currentTarget.open)} class="mt-2">
      <summary class="tabular">
        {plural(types.length, "more type")} with {plural(items, "item")}
      </summary>
      {open && <Bars types={types} largest={largest} />}
    </details>
  );
}

const tenths = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });

function share(part: number): string {
  const percent = part * 100;
  return percent > 0 && percent < 0.1 ? "<0.1%" : `${tenths.format(percent)}%`;
}

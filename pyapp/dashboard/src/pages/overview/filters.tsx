import { useEffect, useRef, useState } from "preact/hooks";
import { setParameters, withParameters } from "../../lib/router";
import type { Status, Statuses } from "../../lib/types";
import { statusText } from "../../parts/basics";
import { ATTRIBUTE, type Asked, attributesOf, isFiltered } from "./asked";
import { atLeast } from "./figures";

const ALWAYS: Status[] = ["running", "queued", "paused", "finished", "failed", "cancelled"];
const IF_ANY: Status[] = ["waiting", "credential_expired", "waiting_credential_renewal", "credential_renewed"];

/** A link for each status, with how many jobs have it. */
export function StatusTabs({ asked, statuses }: { asked: Asked; statuses: Statuses | null }) {
  const shown = [...ALWAYS, ...IF_ANY.filter((one) => asked.status === one || statuses?.statuses[one]?.jobs)];
  return (
    <nav class="status-tabs" aria-label="Status" data-stay>
      <ul>
        <Tab title="All" asked={asked} status={null} jobs={statuses && atLeast(statuses)} />
        {shown.map((status) => {
          const counted = statuses?.statuses[status];
          return (
            <Tab
              key={status}
              title={statusText(status)}
              asked={asked}
              status={status}
              jobs={counted && atLeast(counted)}
            />
          );
        })}
      </ul>
    </nav>
  );
}

function Tab(props: { title: string; asked: Asked; status: Status | null; jobs: string | null | undefined }) {
  const { title, asked, status, jobs } = props;
  return (
    <li>
      <a href={withParameters({ status, cursor: null })} aria-current={asked.status === status ? "true" : undefined}>
        {title} <span class="tab-count tabular">{jobs ?? "–"}</span>
      </a>
    </li>
  );
}

const SEARCH_MS = 300;
const OPERATIONS = ["discovery", "branch_crawling", "data_collection", "finalization"];
const MORE = ["stage", "operationType", "currentDataType", "itemType", "series", "parent"] as const;

/** Search by id, and the other filters. */
export function Filters({ asked, stages }: { asked: Asked; stages: string[] }) {
  const attributes = attributesOf(asked);
  const more = MORE.filter((name) => asked[name]).length;
  // Open if the address has one of them, or active filters would be hidden.
  const [open, setOpen] = useState(more > 0);
  const operations = asked.operationType ? [...new Set([...OPERATIONS, asked.operationType])] : OPERATIONS;
  return (
    <search class="filters" data-stay>
      <div class="filter-row">
        <Typed name="q" label="Search in ids" value={asked.q} placeholder="Search in ids" hidden />
        <button
          type="button"
          class="btn filter-more"
          aria-expanded={open}
          aria-controls="more-filters"
          onClick={() => setOpen(!open)}
        >
          More filters{more > 0 && ` (${more})`}
        </button>
        {isFiltered(asked) && (
          <a class="filter-clear" href="/">
            Clear filters
          </a>
        )}
      </div>
      <div class="more-filters" id="more-filters" hidden={!open}>
        <Typed name="stage" label="Stage" value={asked.stage} options={stages} />
        <label>
          Operation type
          <select
            class="form-select"
            value={asked.operationType ?? ""}
            onChange={(event) =>
              setParameters({
                operationType: event.currentTarget.value,
                cursor: null,
              })
            }
          >
            <option value="">any</option>
            {operations.map((one) => (
              <option key={one} value={one}>
                {one.replaceAll("_", " ")}
              </option>
            ))}
          </select>
        </label>
        <Typed name="currentDataType" label="Data type" value={asked.currentDataType} placeholder="such as issues" />
        <Typed name="itemType" label="Has items of type" value={asked.itemType} placeholder="such as commits" />
        <Typed name="series" label="Series" value={asked.series} placeholder="such as nightly" />
        <Typed name="parent" label="Part of job" value={asked.parent} placeholder="the id of the job" />
        <WithAttribute />
      </div>
      {attributes.length > 0 && (
        <ul class="filter-attributes">
          {attributes.map(([name, value]) => (
            <li key={name}>
              <a
                class="btn btn-sm"
                href={withParameters({ [`${ATTRIBUTE}${name}`]: null, cursor: null })}
                aria-label={`No longer only ${name}=${value}`}
              >
                {name}={value} ×
              </a>
            </li>
          ))}
        </ul>
      )}
    </search>
  );
}

/** Asks for one more attribute, written as team=search. */
function WithAttribute() {
  const [text, setText] = useState("");
  const [name, value] = [text.slice(0, text.indexOf("=")).trim(), text.slice(text.indexOf("=") + 1).trim()];
  const isWhole = text.includes("=") && name !== "" && value !== "";
  function ask() {
    if (isWhole) {
      setText("");
      setParameters({ [`${ATTRIBUTE}${name}`]: value, cursor: null });
    }
  }
  return (
    <label>
      Attribute
      <input
        type="search"
        class="form-control"
        name="attribute"
        value={text}
        placeholder="such as team=search"
        autocomplete="off"
        spellcheck={false}
        maxLength={600}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Enter" && ask()}
        onBlur={ask}
      />
    </label>
  );
}

/** A text that goes into the address shortly after the last key. */
function Typed(props: {
  name: "q" | (typeof MORE)[number];
  label: string;
  value: string | null;
  placeholder?: string;
  options?: string[];
  hidden?: boolean;
}) {
  const { name, label, value, placeholder, options, hidden } = props;
  const [text, setText] = useState(value ?? "");
  const timer = useRef(0);
  const said = useRef(value ?? "");
  useEffect(() => {
    // The address was changed by something else: the browser's history, or the link that clears the filters.
    if ((value ?? "") !== said.current) {
      window.clearTimeout(timer.current);
      said.current = value ?? "";
      setText(said.current);
    }
  }, [value]);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  function say(next: string) {
    window.clearTimeout(timer.current);
    const trimmed = next.trim();
    if (trimmed !== said.current) {
      // One step of the browser's history for a text, not one for each letter.
      const replace = said.current !== "";
      said.current = trimmed;
      setParameters({ [name]: trimmed, cursor: null }, replace);
    }
  }
  return (
    <label class={name === "q" ? "filter-search" : undefined}>
      <span class={hidden ? "visually-hidden" : ""}>{label}</span>
      <input
        type="search"
        class="form-control"
        name={name}
        value={text}
        placeholder={placeholder}
        autocomplete="off"
        spellcheck={false}
        maxLength={255}
        list={options && `${name}-options`}
        onInput={(event) => {
          const next = event.currentTarget.value;
          setText(next);
          window.clearTimeout(timer.current);
          timer.current = window.setTimeout(() => say(next), SEARCH_MS);
        }}
        onKeyDown={(event) => event.key === "Enter" && say(event.currentTarget.value)}
        onBlur={(event) => say(event.currentTarget.value)}
      />
      {options && (
        <datalist id={`${name}-options`}>
          {options.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
      )}
    </label>
  );
}

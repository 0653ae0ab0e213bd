import { useState } from "preact/hooks";
import { count } from "../../lib/format";
import type { Area } from "../../lib/types";
import { Failure } from "../../parts/basics";
import { type Branch, type Level, useLevel } from "./load";

/** The areas of a level. Each can be unfolded; the areas below it are read then. */
export function Branches({ level }: { level: Level }) {
  return (
    <ul class="area-tree">
      {level.branches.map((branch) => (
        <Node key={branch.area.path} branch={branch} />
      ))}
      {level.cut && (
        <li class="area-row text-secondary">
          There are more than these {count(level.branches.length)}; the rest is not shown.
        </li>
      )}
    </ul>
  );
}

function Node({ branch: { area, more } }: { branch: Branch }) {
  const [open, setOpen] = useState(false);
  const name = area.name ?? area.path;
  return (
    <li>
      <div class="area-row">
        {more === false ? (
          <span class="area-toggle" />
        ) : (
          <button
            type="button"
            class="area-toggle"
            aria-expanded={open}
            aria-label={`Areas below ${name}`}
            onClick={() => setOpen(!open)}
          >
            <span class="area-arrow" aria-hidden="true">
              ▸
            </span>
          </button>
        )}
        <AreaText area={area} />
      </div>
      {open && <Below path={area.path} />}
    </li>
  );
}

/** The name and type of an area, and how many jobs discovered it. */
export function AreaText({ area, link = true }: { area: Area; link?: boolean }) {
  const name = <bdi>{area.name ?? area.path}</bdi>;
  return (
    <>
      <div class="area-name">
        {link ? (
          <a class="area-line" href={areaAddress(area.path)} title={area.path}>
            {name}
          </a>
        ) : (
          <b>{name}</b>
        )}
        {area.name !== null && area.name !== area.path && (
          <div class={`text-secondary small ${link ? "area-line" : ""}`}>
            <bdi>{area.path}</bdi>
          </div>
        )}
      </div>
      <span class="badge area-type" title={area.type}>
        <bdi>{area.type}</bdi>
      </span>
      <span class="area-jobs tabular">
        {count(area.jobs)} {area.jobs === 1 ? "job" : "jobs"}
      </span>
    </>
  );
}

function Below({ path }: { path: string }) {
  const { level, error, reload } = useLevel(path);
  if (level === null) {
    return (
      <div class="area-row">
        {error ? <Failure error={error} retry={reload} /> : <span role="status">Reading…</span>}
      </div>
    );
  }
  return level.branches.length > 0 ? <Branches level={level} /> : <p class="area-row text-secondary mb-0">Nothing.</p>;
}

/** The address of this page for an area; null for all of them. */
export function areaAddress(path: string | null): string {
  return path === null ? "/areas" : `/areas?root=${encodeURIComponent(path)}`;
}

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { jobPath, type Parameters } from "../../lib/api";
import { count } from "../../lib/format";
import { useLoaded } from "../../lib/hooks";
import type { Area, Job } from "../../lib/types";
import { Card, Empty, Failure } from "../../parts/basics";
import { Said } from "./values";

interface Node extends Area {
  /** Null if not read yet. */
  below: Node[] | null;
}

/** A tree of up to this many areas is read at once; a larger one is read level by level, when a level is unfolded. */
const MOST = 1000;

interface Source {
  path: string;
  /** Changes with each discovery, which may change the whole tree. */
  discovery: string;
}

/** Reads areas, and reads them again after each discovery; unfolded areas stay unfolded. */
function useAreas({ path, discovery }: Source, parameters: Parameters, wanted = true) {
  const loaded = useLoaded<{ areas: Area[] }>(wanted ? path : null, parameters);
  const known = useRef(discovery);
  useEffect(() => {
    if (known.current !== discovery) {
      known.current = discovery;
      loaded.reload();
    }
  }, [discovery]);
  return loaded;
}

/** What the job discovered, as a tree. */
export function AreasTab({ job }: { job: Job }) {
  const discovery = [job.createdAt, job.progress.lastAreasDiscovery?.timestamp].join();
  const source = { path: jobPath(job.id, "areas"), discovery };
  const all = useAreas(source, { limit: MOST });
  const large = (all.data?.areas.length ?? 0) >= MOST;
  const top = useAreas(source, { depth: 0, limit: MOST }, large);
  const shown = large ? top : all;
  const nodes = useMemo(() => nested(shown.data?.areas ?? [], !large), [shown.data, large]);
  const beside = shown.data && nodes.length > 0 && (
    <span class="text-secondary tabular">
      {large
        ? `${count(nodes.length)}${nodes.length >= MOST ? " or more" : ""} at the top`
        : count(all.data?.areas.length ?? 0)}
    </span>
  );
  return (
    <Card title="Areas" beside={beside}>
      {shown.error && <Failure error={shown.error} retry={shown.reload} />}
      {shown.loading && !shown.data && <p class="text-secondary">Reading the areas…</p>}
      {shown.data && nodes.length === 0 && (
        <Empty title="No areas">
          They appear when the crawler reports <code>new_areas_discovered</code>.
        </Empty>
      )}
      {nodes.length > 0 && <Level nodes={nodes} source={source} open={nodes.length <= 5} />}
      {large && nodes.length >= MOST && <p class="text-secondary">Only the first {count(MOST)} are shown.</p>}
    </Card>
  );
}

/** Each area is followed by the areas below it. */
function nested(areas: Area[], whole: boolean): Node[] {
  const top: Node[] = [];
  const trail: Node[] = [];
  for (const area of areas) {
    const node: Node = { ...area, below: whole ? [] : null };
    trail.length = area.depth;
    const above = trail.at(-1);
    if (above) {
      above.below = [...(above.below ?? []), node];
    } else {
      top.push(node);
    }
    trail.push(node);
  }
  return top;
}

/** The areas directly below the first one. If the answer was cut off, the last ones may have more below. */
function levelBelow(areas: Area[]): Node[] {
  const whole = areas.length < MOST;
  const below = nested(areas, false)[0]?.below ?? [];
  return below.map((node) => ({ ...node, below: whole ? (node.below ?? []) : null }));
}

function Level({ nodes, source, open = false }: { nodes: Node[]; source: Source; open?: boolean }) {
  return (
    <ul class="tree">
      {nodes.map((node) => (
        <li key={node.path} data-area={node.path}>
          {node.below?.length === 0 ? (
            <span class="tree-leaf">
              <Name area={node} />
            </span>
          ) : (
            <Branch node={node} source={source} begins={open} />
          )}
        </li>
      ))}
    </ul>
  );
}

function Branch({ node, source, begins }: { node: Node; source: Source; begins: boolean }) {
  const [open, setOpen] = useState(begins && node.below !== null);
  return (
    <details open={open} onToggle={(toggled) => setOpen(toggled.currentTarget.open)}>
      <summary>
        <Name area={node} />
        {node.below && <span class="text-secondary small tabular"> · {count(node.below.length)} below</span>}
      </summary>
      {open && (node.below ? <Level nodes={node.below} source={source} /> : <Lazy root={node.path} source={source} />)}
    </details>
  );
}

function Lazy({ root, source }: { root: string; source: Source }) {
  // One level more than is shown, to know which areas have something below.
  const { data, error, reload } = useAreas(source, { root, depth: 2, limit: MOST });
  const below = useMemo(() => levelBelow(data?.areas ?? []), [data]);
  if (error) {
    return <Failure error={error} retry={reload} />;
  }
  if (!data) {
    return <p class="text-secondary ms-4">Reading…</p>;
  }
  if (below.length === 0) {
    return <p class="text-secondary ms-4">Nothing below.</p>;
  }
  return (
    <>
      <Level nodes={below} source={source} />
      {data.areas.length >= MOST && <p class="text-secondary ms-4">Only the first {count(MOST)} are shown.</p>}
    </>
  );
}

function Name({ area }: { area: Area }) {
  return (
    <>
      <Said>{area.name ?? area.path}</Said>{" "}
      <span class="text-secondary small">
        <Said>{area.type}</Said>
        {area.name !== null && area.name !== area.path && (
          <>
            {" · "}
            <Said>{area.path}</Said>
          </>
        )}
        {area.jobs > 1 && ` · found by ${count(area.jobs)} jobs`}
      </span>
    </>
  );
}

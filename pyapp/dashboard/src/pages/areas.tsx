import { count } from "../lib/format";
import { usePlace } from "../lib/router";
import { Empty, Failure } from "../parts/basics";
import { PageBody, PageHead } from "../parts/layout";
import "./areas/areas.css";
import { type Level, useLevel } from "./areas/load";
import { AreaText, areaAddress, Branches } from "./areas/tree";

/** The areas that all jobs discovered, as a tree. */
export function AreasPage() {
  const root = usePlace().parameters.get("root") || null;
  const { level, error, reload } = useLevel(root);
  return (
    <>
      <PageHead title="Areas">
        <button type="button" class="btn btn-sm" onClick={reload}>
          Read again
        </button>
      </PageHead>
      <PageBody>
        {error && <Failure error={error} retry={reload} />}
        {level ? <Found key={root ?? ""} level={level} root={root} /> : !error && <p role="status">Reading…</p>}
      </PageBody>
    </>
  );
}

function Found({ level, root }: { level: Level; root: string | null }) {
  if (root !== null && level.root === null) {
    return (
      <div class="card">
        <Empty title="No job discovered this area">
          <p class="job-id">
            <bdi>{root}</bdi>
          </p>
          <a href={areaAddress(null)}>See all areas</a>
        </Empty>
      </div>
    );
  }
  if (root === null && level.branches.length === 0) {
    return (
      <div class="card">
        <Empty title="No areas yet">
          Crawlers report groups, projects and whatever else they find as <code>areas</code> of an update; see the{" "}
          <a class="text-decoration-underline" href="/docs">
            HTTP API
          </a>
          .
        </Empty>
      </div>
    );
  }
  return (
    <>
      {level.root && (
        <nav aria-label="Path of this area" class="mb-2">
          <a href={areaAddress(null)}>All areas</a>
          {level.root.parent && (
            <>
              {" / "}
              <a class="job-id" href={areaAddress(level.root.parent)}>
                <bdi>{level.root.parent}</bdi>
              </a>
            </>
          )}
        </nav>
      )}
      <section class="card" aria-label="Areas as a tree">
        <div class="card-header area-head">
          {level.root ? (
            <AreaText area={level.root} link={false} />
          ) : (
            <>
              <span class="area-name">
                {count(level.branches.length)} {level.branches.length === 1 ? "area" : "areas"} at the top
              </span>
              <span class="area-jobs text-secondary">discovered by</span>
            </>
          )}
        </div>
        {level.branches.length > 0 ? (
          <Branches level={level} />
        ) : (
          <p class="card-body mb-0 text-secondary">There are no areas below it.</p>
        )}
      </section>
    </>
  );
}

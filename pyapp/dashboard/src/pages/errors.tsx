import { count } from "../lib/format";
import { setParameters, usePlace } from "../lib/router";
import type { ErrorsDocument } from "../lib/types";
import { Empty, Failure } from "../parts/basics";
import { Choice } from "../parts/choice";
import { PageBody, PageHead } from "../parts/layout";
import "./errors/errors.css";
import { Groups } from "./errors/groups";
import { MOST_GROUPS, search, useErrors, WINDOWS, type Window, windowOf } from "./errors/load";

/** Recent errors of all jobs, in groups. */
export function ErrorsPage() {
  const { parameters } = usePlace();
  const window = windowOf(parameters.get("window"));
  const { data, error, reload } = useErrors(window.hours);
  return (
    <>
      <PageHead title="Errors">
        <Choice label="How far back" parameter="window" options={[...WINDOWS]} chosen={window.key} />
      </PageHead>
      <PageBody>
        {error && <Failure error={error} retry={reload} />}
        {data ? (
          <Found page={data} window={window} wanted={parameters.get("q") ?? ""} />
        ) : (
          !error && <p role="status">Reading…</p>
        )}
      </PageBody>
    </>
  );
}

function Found({ page, window, wanted }: { page: ErrorsDocument; window: Window; wanted: string }) {
  if (page.errors.length === 0) {
    return (
      <div class="card">
        <Empty title={`No errors in the last ${window.text.replace(/^1 /, "")}`}>
          {window.key === "30d" ? "Crawlers report them as updates with an error." : "Look further back."}
        </Empty>
      </div>
    );
  }
  const found = search(page.errors, wanted);
  const errors = found.reduce((sum, group) => sum + group.count, 0);
  return (
    <section class="card" aria-label="Errors in groups">
      <div class="card-header gap-3 flex-wrap">
        <div class="flex-fill" role="status">
          <span class="h2 mb-0 tabular">{count(errors)}</span> {errors === 1 ? "error" : "errors"} in{" "}
          <span class="tabular">{count(found.length)}</span> {found.length === 1 ? "group" : "groups"}
          {wanted && ` of ${count(page.errors.length)}`}
          {page.errors.length === MOST_GROUPS && ", those with the most errors"}
        </div>
        <input
          class="form-control w-auto"
          type="search"
          aria-label="Search the groups"
          placeholder="Search the groups"
          value={wanted}
          onInput={(event) => setParameters({ q: event.currentTarget.value }, true)}
        />
      </div>
      {found.length > 0 ? (
        <Groups groups={found} since={page.since} until={page.until} />
      ) : (
        <Empty title="No group has all of these words">
          <button type="button" class="btn btn-sm" onClick={() => setParameters({ q: null }, true)}>
            Show all groups
          </button>
        </Empty>
      )}
    </section>
  );
}

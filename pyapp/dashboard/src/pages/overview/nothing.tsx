import { useState } from "preact/hooks";
import { boot } from "../../lib/boot";
import { Empty } from "../../parts/basics";

/** Shown if there is no job at all: how to report on the first one. */
export function NoJobYet() {
  const id = `${boot.jobPrefix}job_1`;
  const post = (path: string, body: object) =>
    `curl -X POST '${location.origin}/api/internal/jobs${path}' -H 'Authorization: Bearer TOKEN' ` +
    `-H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`;
  const update = {
    taskId: id,
    status: "processing",
    processedItems: 150,
    totalItems: 500,
  };
  const lines = `${post("", { taskId: id })}\n${post("/progress", update)}`;
  return (
    <Empty title="No job yet">
      <p>Register a job and report on it: replace TOKEN with your token. The job appears here at once.</p>
      <pre class="curl" tabIndex={0} role="region" aria-label="Commands that register a job and report on it">
        {lines}
      </pre>
      <p class="mb-0">
        {"clipboard" in navigator && <Copy text={lines} />} <a href="/docs">How the API works</a>
      </p>
    </Empty>
  );
}

function Copy({ text }: { text: string }) {
  const [told, setTold] = useState("Copy the commands");
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setTold("Copied"),
      () => setTold("Not copied: the browser does not allow it"),
    );
  return (
    <button type="button" class="btn btn-sm" onClick={copy} aria-live="polite">
      {told}
    </button>
  );
}

/** Shown if no job matches the filters, or if the page is behind the last job. */
export function NoneFound({ filtered, first }: { filtered: boolean; first: string | null }) {
  return (
    <Empty title={filtered ? "No jobs match" : "No more jobs"}>
      {first && (
        <p>
          There is nothing on this page. <a href={first}>Go to the first page</a>
        </p>
      )}
      {filtered && (
        <p class="mb-0">
          <a href="/">Clear the filters</a> to see all jobs.
        </p>
      )}
    </Empty>
  );
}

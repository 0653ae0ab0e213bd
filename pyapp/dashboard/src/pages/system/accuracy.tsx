import { useState } from "preact/hooks";
import { API } from "../../lib/api";
import { count } from "../../lib/format";
import { useLoaded } from "../../lib/hooks";
import { jobAddress } from "../../lib/router";
import type { Accuracy as Checked } from "../../lib/types";
import { Card, Failure } from "../../parts/basics";

const JOBS = 20;

/** Whether counts are exact: checked at a click, because whole ledgers are read for it. */
export function Accuracy() {
  const [wanted, setWanted] = useState(false);
  const { data, error, loading, reload } = useLoaded<Checked>(wanted ? `${API}/accuracy` : null, { jobs: JOBS });
  return (
    <Card title="Accuracy">
      <p class="text-secondary small">
        Folds the ledgers of the {JOBS} newest jobs again, and compares the results with the stored states.
      </p>
      {error && <Failure error={error} />}
      <div role="status">{data && !loading && <Result checked={data} />}</div>
      <button
        type="button"
        class="btn"
        disabled={wanted && loading}
        onClick={() => (wanted ? reload() : setWanted(true))}
      >
        {wanted && loading ? "Checking…" : data ? "Check again" : "Check now"}
      </button>
    </Card>
  );
}

function Result({ checked: { checked, exact, differing, skipped } }: { checked: Checked }) {
  const jobs = `${count(checked)} of the newest jobs checked`;
  return (
    <>
      <p class={exact === checked ? "" : "text-stalled fw-bold"}>
        {checked === 0
          ? "There are no jobs to check yet."
          : exact === checked
            ? `${jobs}: all exact.`
            : `${jobs}: ${count(exact)} exact, ${count(checked - exact)} differ from their ledgers:`}
        {skipped > 0 && ` ${count(skipped)} skipped because their ledgers are too long.`}
      </p>
      {differing.length > 0 && (
        <ul>
          {differing.map((id) => (
            <li key={id}>
              <a class="job-id" href={jobAddress(id)}>
                <bdi>{id}</bdi>
              </a>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

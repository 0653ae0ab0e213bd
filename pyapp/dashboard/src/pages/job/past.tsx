import { useEffect, useState } from "preact/hooks";
import { count } from "../../lib/format";

const SETTLED_MS = 250;

/** Goes through the states that a job had, one event at a time. */
export function PastBar({ at, last, onChoose }: { at: number; last: number; onChoose: (seq: number | null) => void }) {
  const [drawn, setDrawn] = useState(at);
  useEffect(() => setDrawn(at), [at]);
  useEffect(() => {
    // Each state is folded from the ledger, so not for every position that the slider passes.
    const timer = window.setTimeout(() => drawn !== at && onChoose(drawn), SETTLED_MS);
    return () => window.clearTimeout(timer);
  }, [drawn]);
  const step = (to: number, label: string, text: string) => (
    <button
      type="button"
      class="btn btn-sm"
      disabled={to < 0 || to > last}
      aria-label={label}
      title={label}
      onClick={() => onChoose(to)}
    >
      {text}
    </button>
  );
  return (
    <div class="alert alert-info mb-3 past" role="status" data-at={at}>
      <div class="past-line text-body">
        <strong class="tabular">
          {drawn === 0 ? "As it was before its first event" : `As it was after event ${count(drawn)} of ${count(last)}`}
        </strong>
        <div class="past-steps">
          {step(at - 1, "One event earlier", "‹")}
          <input
            type="range"
            class="form-range"
            min={0}
            max={last}
            value={drawn}
            aria-label="Event"
            onInput={(moved) => setDrawn(moved.currentTarget.valueAsNumber)}
          />
          {step(at + 1, "One event later", "›")}
          <button type="button" class="btn btn-sm btn-primary" onClick={() => onChoose(null)}>
            Back to now
          </button>
        </div>
      </div>
    </div>
  );
}

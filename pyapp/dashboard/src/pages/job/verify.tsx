import { useState } from "preact/hooks";
import { ApiError, get, jobPath } from "../../lib/api";
import { count } from "../../lib/format";
import type { Json } from "../../lib/types";
import { Failure } from "../../parts/basics";
import { Said, Value } from "./values";

interface Verified {
  id: string;
  verified: boolean;
  /** How many events the ledger has. */
  events: number;
  differences: { seq: number; field: string; stored: Json; folded: Json }[];
}

/** Compares the state with the ledger: at a click, because the whole ledger is folded for it. */
export function useVerify(id: string) {
  const [found, setFound] = useState<Verified | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [asking, setAsking] = useState(false);

  async function verify(): Promise<void> {
    setAsking(true);
    setError(null);
    try {
      setFound(await get<Verified>(jobPath(id, "verify")));
    } catch (problem) {
      if (!(problem instanceof ApiError)) {
        throw problem;
      }
      setFound(null);
      setError(problem);
    }
    setAsking(false);
  }
  return { found, error, asking, verify };
}

/** The result. */
export function Verification({ found, error, asking, verify }: ReturnType<typeof useVerify>) {
  return (
    <div role="status" data-verified={found?.verified}>
      {error && <Failure error={error} retry={verify} />}
      {!error && asking && !found && <p class="text-secondary">Comparing with the ledger…</p>}
      {found?.verified && (
        <div class="alert alert-success mb-3">
          <div class="text-body">
            Exact: the state matches its ledger of {count(found.events)} {found.events === 1 ? "event" : "events"}.
          </div>
        </div>
      )}
      {found && !found.verified && (
        <div class="alert alert-danger mb-3">
          <div class="w-100 text-body">
            <h2 class="alert-title h4">Not exact: the state does not match its ledger</h2>
            <div class="table-responsive">
              <table class="table table-sm mb-0">
                <thead>
                  <tr>
                    <th scope="col">Event</th>
                    <th scope="col">Field</th>
                    <th scope="col">Stored</th>
                    <th scope="col">From the ledger</th>
                  </tr>
                </thead>
                <tbody>
                  {found.differences.map((difference) => (
                    <tr key={difference.field}>
                      <td class="tabular">#{difference.seq}</td>
                      <td>
                        <Said>{difference.field}</Said>
                      </td>
                      <td>
                        <Value value={difference.stored} />
                      </td>
                      <td>
                        <Value value={difference.folded} />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </div>
        </div>
      )}
    </div>
  );
}

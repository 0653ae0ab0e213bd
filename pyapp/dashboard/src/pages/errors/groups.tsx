import { useState } from "preact/hooks";
import { count } from "../../lib/format";
import { jobAddress } from "../../lib/router";
import type { ErrorGroup } from "../../lib/types";
import { Time } from "../../parts/basics";
import { keyOf, useSteady } from "./load";
import { Sparkline } from "./sparkline";

/** The groups as a table; on a phone each is a block of its own. */
export function Groups({ groups, since, until }: { groups: ErrorGroup[]; since: string; until: string }) {
  const [held, setHeld] = useState(false);
  const steady = useSteady(groups, held);
  return (
    <div
      class="table-responsive"
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onFocusCapture={() => setHeld(true)}
      onBlurCapture={() => setHeld(false)}
    >
      <table class="table table-vcenter card-table error-table">
        <thead>
          <tr>
            <th>Error</th>
            <th>Trend</th>
            <th class="text-end">Errors</th>
            <th class="text-end">Jobs</th>
            <th>First seen</th>
            <th>Last seen</th>
          </tr>
        </thead>
        <tbody>
          {steady.map((group) => (
            <Group key={keyOf(group)} group={group} since={since} until={until} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Group({ group, since, until }: { group: ErrorGroup; since: string; until: string }) {
  return (
    <tr>
      <td class="error-cell">
        <div class="fw-bold error-text error-head">
          <bdi>{group.type ?? "(no type)"}</bdi>
        </div>
        <div class="error-text error-message">
          <bdi>{group.message ?? "(no message)"}</bdi>
        </div>
        <details class="mt-1">
          <summary class="small text-secondary">The newest of them</summary>
          <pre class="error-sample error-text mt-2 mb-1">
            <bdi>{group.sample.message ?? "(no message)"}</bdi>
          </pre>
          <div class="small">
            Event {count(group.sample.seq)} of{" "}
            <a class="job-id" href={jobAddress(group.sample.taskId)}>
              <bdi>{group.sample.taskId}</bdi>
            </a>
          </div>
        </details>
      </td>
      <td class="trend-cell">
        <Sparkline trend={group.trend} since={since} until={until} />
      </td>
      <td class="text-lg-end tabular" data-label="Errors">
        {count(group.count)}
      </td>
      <td class="text-lg-end tabular" data-label="Jobs">
        {count(group.jobs)}
      </td>
      <td data-label="First seen">
        <Time at={group.firstSeen} />
      </td>
      <td data-label="Last seen">
        <Time at={group.lastSeen} />
      </td>
    </tr>
  );
}

import { duration, percent, speed, summaryText } from "../../lib/format";
import { jobAddress } from "../../lib/router";
import type { Rate, Row, Stalled, Status } from "../../lib/types";
import { Bar, StatusBadge, Time } from "../../parts/basics";
import { oneLine, Silence, WaitText } from "./words";

const MAY_STALL: Status[] = ["running", "waiting", "queued"];

/** A job in the table, which is a card on a phone. Roles are set because a browser does not treat a card as a row. */
export function JobLine(props: { row: Row; rate: Rate | undefined; stalled: Stalled | undefined; fresh: boolean }) {
  const { row, rate, stalled, fresh } = props;
  const isRunning = row.status === "running";
  return (
    <tr role="row" class={`job-line ${fresh ? "job-fresh" : ""}`} data-job={row.id}>
      <td role="cell" class="cell-job">
        <a href={jobAddress(row.id)} class="job-id few-lines" title={row.id.length > 60 ? row.id : undefined}>
          <bdi>{row.id}</bdi>
        </a>
      </td>
      <td role="cell" class="cell-status">
        <StatusBadge status={row.status} shortfall={row.shortfall} />
      </td>
      <td role="cell" class="cell-progress">
        <Bar
          percentage={row.percentage}
          label={`Progress of ${row.id}`}
          status={row.status}
          short={row.shortfall !== null}
        />
        <div class="progress-words tabular">
          {row.percentage !== null && <strong>{percent(row.percentage)}</strong>}
          <span class="one-line text-secondary" title={row.summary}>
            <bdi>{summaryText(row.summary)}</bdi>
          </span>
        </div>
      </td>
      <td role="cell" class="cell-stage">
        {(row.stage || row.operationType) && (
          <>
            <div class="one-line" title={row.stage ?? ""}>
              <bdi>{row.stage}</bdi>
            </div>
            <div class="one-line small text-secondary">{row.operationType?.replaceAll("_", " ")}</div>
          </>
        )}
      </td>
      <td role="cell" class={`cell-rate tabular ${isRunning ? "" : "cell-idle"}`} data-label="Rate">
        {isRunning && typeof rate?.itemsPerSecond === "number" ? speed(rate.itemsPerSecond) : <Unknown />}
      </td>
      <td role="cell" class="cell-left tabular" data-label={isRunning ? "Left" : undefined}>
        <Left row={row} rate={rate} />
      </td>
      <td role="cell" class="cell-updated" data-label="Updated">
        <Time at={row.updatedAt} />
      </td>
      <td role="cell" class="cell-notes">
        <Markers row={row} stalled={MAY_STALL.includes(row.status) ? stalled : undefined} />
      </td>
    </tr>
  );
}

function Unknown() {
  return <span class="text-secondary">–</span>;
}

/** How long a job will still take; for a job that has ended, how long it took. */
function Left({ row, rate }: { row: Row; rate: Rate | undefined }) {
  if (row.status === "running" && rate?.eta) {
    return <Time at={rate.eta} as="left" />;
  }
  if (row.startedAt && row.finishedAt) {
    const seconds = (Date.parse(row.finishedAt) - Date.parse(row.startedAt)) / 1000;
    return seconds >= 0 ? <span class="text-secondary text-nowrap">took {duration(seconds)}</span> : <Unknown />;
  }
  return <Unknown />;
}

const ASKED = {
  pause: "pause requested",
  resume: "resume requested",
  cancel: "cancel requested",
};

/** What is out of the ordinary about a job. */
function Markers({ row, stalled }: { row: Row; stalled: Stalled | undefined }) {
  const credential = credentialTrouble(row);
  return (
    <>
      {row.command && (
        <div class="marker marker-asked" title="The answer to the crawler's next update carries the command.">
          {ASKED[row.command] ?? row.command}
        </div>
      )}
      {row.wait && !stalled && (
        <div class="marker marker-wait one-line" title={row.wait.reason ?? ""}>
          <WaitText wait={row.wait} />
        </div>
      )}
      {stalled && (
        <div class={`marker ${stalled.state === "silent" ? "marker-error" : "marker-warning"}`}>
          <Silence job={stalled} />
        </div>
      )}
      {credential && (
        <div class="marker marker-warning one-line" title={credential}>
          <bdi>{credential}</bdi>
        </div>
      )}
      {row.status === "failed" && row.error && (
        <div class="marker marker-error one-line" title={oneLine(row.error)}>
          <bdi>{oneLine(row.error)}</bdi>
        </div>
      )}
    </>
  );
}

/** What a job that waits for credentials reported about them. Old reports are kept, so the status decides. */
function credentialTrouble({ status, credentialStatus }: Row): string | null {
  if (status !== "credential_expired" && status !== "waiting_credential_renewal") {
    return null;
  }
  const member = (name: string) => {
    const value =
      credentialStatus && typeof credentialStatus === "object" && !Array.isArray(credentialStatus)
        ? credentialStatus[name]
        : null;
    return typeof value === "string" ? value : null;
  };
  const what = typeof credentialStatus === "string" ? credentialStatus : (member("message") ?? member("errorType"));
  return [member("providerId"), what].filter(Boolean).join(": ") || "needs new credentials";
}

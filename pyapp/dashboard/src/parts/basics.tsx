import type { ComponentChildren } from "preact";
import type { ApiError } from "../lib/api";
import { serverNow } from "../lib/clock";
import { about, count, percent } from "../lib/format";
import { useTold } from "../lib/hooks";
import type { Liveness } from "../lib/live";
import type { Shortfall, Status } from "../lib/types";

// Class names are written out in full, because the build removes classes that it does not find in any source.
const COLOURS: Record<Status, string> = {
  queued: "status-secondary",
  running: "status-blue",
  waiting: "status-purple",
  paused: "status-yellow",
  finished: "status-green",
  failed: "status-red",
  cancelled: "status-secondary",
  credential_expired: "status-orange",
  waiting_credential_renewal: "status-orange",
  credential_renewed: "status-azure",
};

/** A status as people write it. */
export function statusText(status: Status): string {
  return status.replaceAll("_", " ");
}

/** How many items are missing from a job that has finished. */
export function missing(shortfall: Shortfall): number {
  return Object.values(shortfall ?? {}).reduce((sum, items) => sum + items, 0);
}

/** A job's status in words and colour. A finished job also says how many items are missing. */
export function StatusBadge({ status, shortfall }: { status: Status; shortfall: Shortfall }) {
  const look = shortfall ? "status-orange" : (COLOURS[status] ?? "status-secondary");
  return (
    <span class={`status job-status ${look}`}>
      <span class="status-dot" />
      {/* One element, so that the words can go into two lines. */}
      <span>
        {statusText(status)}
        {shortfall && (
          <>
            , <span class="text-nowrap">{count(missing(shortfall))} short</span>
          </>
        )}
      </span>
    </span>
  );
}

const BARS: Partial<Record<Status, string>> = {
  finished: "bar-finished",
  failed: "bar-failed",
  waiting: "bar-waiting",
  paused: "bar-waiting",
  cancelled: "bar-ended",
  credential_expired: "bar-waiting",
  waiting_credential_renewal: "bar-waiting",
};

/**
 * How much is done; null is unknown, which is drawn neither as empty nor as full. The status, if given, sets the colour,
 * and so does `short`: that items are missing from a job that has finished.
 */
export function Bar(props: { percentage: number | null; label: string; status?: Status; short?: boolean }) {
  const { percentage, label, status, short } = props;
  const look = `progress progress-sm bar ${short ? "bar-short" : ((status && BARS[status]) ?? "")}`;
  if (percentage === null) {
    return <progress class={`${look} bar-unknown`} aria-label={`${label}: total unknown`} />;
  }
  return (
    <progress class={look} max={100} value={percentage} aria-label={label}>
      {percent(percentage)}
    </progress>
  );
}

/**
 * An instant: how long ago it is (`ago`), in the viewer's zone (`clock`), both, or how long until then (`left`). The
 * exact time in UTC is shown on hover.
 */
export function Time({ at, as = "ago" }: { at: string; as?: "ago" | "clock" | "both" | "left" }) {
  const text = useTold(() => timeText(at, as));
  return (
    <time dateTime={at} title={utcText(at)} class="text-nowrap tabular">
      {text}
    </time>
  );
}

function timeText(at: string, as: "ago" | "clock" | "both" | "left"): string {
  const instant = new Date(at);
  const now = serverNow();
  const seconds = (now - instant.getTime()) / 1000;
  // A year that browsers cannot parse is shown as it came.
  if (Number.isNaN(seconds)) {
    return at;
  }
  if (as === "left") {
    return seconds > -1 ? "any moment" : about(-seconds);
  }
  const ago = seconds < 1 ? "now" : `${about(seconds)} ago`;
  return as === "ago" ? ago : as === "clock" ? clockText(instant, now) : `${clockText(instant, now)}, ${ago}`;
}

/** An instant as UTC, to the last digit that is known. */
function utcText(at: string): string {
  return at.endsWith("Z") ? `${at.slice(0, -1).replace("T", " ")} UTC` : at;
}

const timeOfDay = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const dayAndTime = new Intl.DateTimeFormat(undefined, {
  dateStyle: "medium",
  timeStyle: "medium",
});

function clockText(instant: Date, now: number): string {
  const today = new Date(now).toDateString() === instant.toDateString();
  return (today ? timeOfDay : dayAndTime).format(instant);
}

const LIVENESS: Record<Liveness, [look: string, text: string, meaning: string]> = {
  connecting: ["status-secondary", "connecting", "Changes will be shown as they come."],
  live: ["status-green", "live", "Changes are shown as they come."],
  polling: ["status-azure", "every 2 s", "There is no stream for this page at the moment, so it asks every 2 seconds."],
  stale: [
    "status-red",
    "stale",
    "The server does not answer, so this page may be out of date. It tries again by itself.",
  ],
  refused: ["status-red", "not live", "The server refuses to send changes to this page, so it may be out of date."],
};

/** Whether the page is up to date. */
export function LiveBadge({ liveness }: { liveness: Liveness }) {
  const [look, text, meaning] = LIVENESS[liveness];
  return (
    <span class={`status live-badge ${look}`} role="status" title={meaning}>
      <span class={`status-dot ${liveness === "live" ? "status-dot-animated" : ""}`} />
      {text}
      {(liveness === "stale" || liveness === "refused") && <span class="visually-hidden">: {meaning}</span>}
    </span>
  );
}

/** Shown where there is nothing to show: says why, and what to do next. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      <div class="empty-subtitle text-secondary">{children}</div>
    </div>
  );
}

/** Shown where something could not be read or done. */
export function Failure({ error, retry }: { error: ApiError; retry?: () => void }) {
  const details = (error.problem?.details ?? [])
    .map(({ field, problem }) => `${field} ${problem}`)
    .filter((text) => !error.message.includes(text));
  return (
    <div class="alert alert-danger failure" role="alert">
      <div class="flex-fill">
        {error.message}
        {details.map((text) => (
          <div key={text} class="small">
            {text}
          </div>
        ))}
      </div>
      {retry && (
        <button type="button" class="btn btn-sm" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** A framed part of a page, with a heading. */
export function Card({
  title,
  beside,
  children,
  padded = true,
}: {
  title: string;
  beside?: ComponentChildren;
  children: ComponentChildren;
  padded?: boolean;
}) {
  return (
    <section class="card mb-3">
      <div class="card-header">
        <h2 class="card-title">{title}</h2>
        {beside && <div class="card-actions card-beside">{beside}</div>}
      </div>
      {padded ? <div class="card-body">{children}</div> : children}
    </section>
  );
}

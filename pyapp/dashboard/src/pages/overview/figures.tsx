import { count, figure } from "../../lib/format";
import { MOST_STALLED } from "../../lib/limits";
import type { Statuses, Totals } from "../../lib/types";

/** How many there are, or at least how many: "10,000+". */
export function atLeast({ jobs, more }: { jobs: number; more: boolean }): string {
  return count(jobs) + (more ? "+" : "");
}

/** What the whole system is doing, in five figures. */
export function Figures({ statuses, totals }: { statuses: Statuses | null; totals: Totals | null }) {
  // A job that was never reported on is no stalled crawl: it stands in a list of its own.
  const overdue = totals?.stalled.filter((job) => job.state !== "never_reported");
  const stalled = overdue?.length;
  const failed = statuses?.statuses.failed;
  const running = statuses?.statuses.running;
  const errors = totals?.throughput.errorsPerMinute;
  return (
    <dl class="figures card">
      <Figure name="Events/s" value={totals && figure(totals.throughput.eventsPerSecond)} />
      <Figure name="Errors/min" value={errors === undefined ? null : figure(errors)} href="/errors" bad={!!errors} />
      <Figure name="Running" value={running && atLeast(running)} href="/?status=running" />
      <Figure
        name="Stalled"
        value={stalled === undefined ? null : count(stalled) + (stalled >= MOST_STALLED ? "+" : "")}
        bad={!!stalled}
      />
      <Figure name="Failed" value={failed && atLeast(failed)} href="/?status=failed" />
    </dl>
  );
}

function Figure(props: { name: string; value: string | null | undefined; href?: string; bad?: boolean }) {
  const { name, value, href, bad } = props;
  return (
    <div>
      <dt class="subheader">{name}</dt>
      <dd class={`figure-value tabular ${bad ? "figure-bad" : ""}`} data-stay>
        {href && value ? <a href={href}>{value}</a> : (value ?? "–")}
      </dd>
    </div>
  );
}

import type { ComponentChildren } from "preact";
import { jobPath } from "../../lib/api";
import { count, duration, percent, plural, speed, summaryText } from "../../lib/format";
import { useLoaded } from "../../lib/hooks";
import { jobAddress } from "../../lib/router";
import type { Job, Rate } from "../../lib/types";
import { Bar, missing, Time } from "../../parts/basics";
import { hasEnded } from "./commands";
import { LongText, Said } from "./values";

/** How far a job is, and how fast it goes. `past` is a job as it was, which has no rate; `aliveAt` its last sign of life. */
export function Head({ job, past, aliveAt }: { job: Job; past: boolean; aliveAt: string | null }) {
  const { progress } = job;
  const goes = !past && !hasEnded(job) && job.status !== "queued";
  const frequency = useLoaded<Rate>(goes ? jobPath(job.id, "rate") : null, {}, 5).data;
  // What was read while the job was running is out of date when it pauses or waits.
  const rate = job.status === "running" ? frequency : null;
  return (
    <section class="card mb-3" aria-label="Progress">
      <div class="card-body">
        <div class="d-flex align-items-baseline gap-3 flex-wrap mb-2">
          {job.percentage !== null && <span class="display-6 tabular">{percent(job.percentage)}</span>}
          <span class="fs-3 tabular said">
            <bdi>{summaryText(job.summary)}</bdi>
          </span>
        </div>
        <Bar
          percentage={job.percentage}
          label="Progress of the job"
          status={job.status}
          short={job.shortfall !== null}
        />
        {job.shortfall && <Missing types={job.shortfall} />}
        {typeof progress.message === "string" && progress.message !== "" && (
          <p class="mt-3 mb-0">
            <LongText most={300}>{progress.message}</LongText>
          </p>
        )}
        <dl class="facts mt-3 mb-0">
          {job.parent && (
            <Fact name="Part of">
              <a class="said" href={jobAddress(job.parent)}>
                <bdi>{job.parent}</bdi>
              </a>
            </Fact>
          )}
          {typeof job.attributes?.series === "string" && (
            <Fact name="Series">
              <a class="said" href={`/?series=${encodeURIComponent(job.attributes.series)}`}>
                <bdi>{job.attributes.series}</bdi>
              </a>
            </Fact>
          )}
          <Fact name="Stage">{text(progress.stage)}</Fact>
          <Fact name="Operation">{text(progress.operationType?.replaceAll("_", " "))}</Fact>
          <Fact name="Data type">{text(progress.currentDataType)}</Fact>
          {rate?.itemsPerSecond != null && (
            <Fact name="Rate" beside={interval(rate.low, rate.high, speed)}>
              <span class="tabular">{speed(rate.itemsPerSecond)}</span>
            </Fact>
          )}
          {rate?.etaSeconds != null && (
            <Fact
              name="Time left"
              beside={
                <>
                  {interval(rate.etaSecondsLow, rate.etaSecondsHigh, duration, rate.low)}
                  {rate.eta && (
                    <div>
                      done <Time at={rate.eta} as="clock" />
                    </div>
                  )}
                </>
              }
            >
              <span class="tabular">{duration(rate.etaSeconds)}</span>
            </Fact>
          )}
          {job.startedAt && (
            <Fact name="Started" beside={<Time at={job.startedAt} as="clock" />}>
              <Time at={job.startedAt} />
            </Fact>
          )}
          {job.finishedAt && (
            <Fact name="Ended" beside={<Time at={job.finishedAt} as="clock" />}>
              <Time at={job.finishedAt} />
            </Fact>
          )}
          {job.startedAt && job.finishedAt && <Fact name="Took">{took(job.startedAt, job.finishedAt)}</Fact>}
          <Fact name="Last update" beside={goes ? habit(frequency) : null}>
            {job.startedAt ? <Time at={job.updatedAt} as={past ? "clock" : "ago"} /> : "none yet"}
          </Fact>
          {goes && aliveAt && aliveAt > job.updatedAt && (
            <Fact name="Sign of life">
              <Time at={aliveAt} />
            </Fact>
          )}
        </dl>
      </div>
    </section>
  );
}

/** How many types are named that items are missing of; the books have all. */
const MOST_MISSING = 5;

/** What is missing from a job that has finished, the most first. */
function Missing({ types }: { types: Record<string, number> }) {
  const found = Object.entries(types).sort(([, one], [, other]) => other - one);
  return (
    <p class="missing mt-3 mb-0" role="note">
      <strong>Finished, {count(missing(types))} short.</strong> It reported completed, but these are missing:{" "}
      {found.slice(0, MOST_MISSING).map(([name, items], place) => (
        <span key={name}>
          {place > 0 && ", "}
          {count(items)} <Said>{name}</Said>
        </span>
      ))}
      {found.length > MOST_MISSING && `, and those of ${plural(found.length - MOST_MISSING, "more type")}`}.
    </p>
  );
}

function text(value: unknown): ComponentChildren {
  return typeof value === "string" && value !== "" && <Said>{value}</Said>;
}

function Fact({ name, beside, children }: { name: string; beside?: ComponentChildren; children: ComponentChildren }) {
  return children ? (
    <div>
      <dt>{name}</dt>
      <dd>
        {children}
        {beside && <div class="text-secondary small tabular">{beside}</div>}
      </dd>
    </div>
  ) : null;
}

/** The interval that the true value is probably in; the upper end of a time may be unknown. */
function interval(
  low: number | null,
  high: number | null,
  write: (value: number) => string,
  known: number | null = low,
): string | null {
  if (low === null || (high === null && known === null)) {
    return null;
  }
  return high === null ? `${write(low)} or more` : `${write(low)} to ${write(high)}`;
}

function habit(rate: Rate | null): string | null {
  const gap = rate?.frequency?.medianGapSeconds;
  return !gap ? null : `usually one every ${duration(gap)}`;
}

function took(from: string, to: string): string {
  return duration(Math.max(Date.parse(to) - Date.parse(from), 0) / 1000);
}

import "./job.css";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { jobPath } from "../../lib/api";
import { useLoaded } from "../../lib/hooks";
import { setParameters, usePlace } from "../../lib/router";
import type { Job } from "../../lib/types";
import { Empty, Failure, LiveBadge, StatusBadge } from "../../parts/basics";
import { PageBody, PageHead } from "../../parts/layout";
import { AreasTab } from "./areas_tab";
import { Asked, Commands, useCommands } from "./commands";
import { CredentialAlert } from "./credential";
import { ErrorsTab } from "./errors_tab";
import { Books } from "./books";
import { FamilyCard } from "./family";
import { Head } from "./head";
import { ItemTypes } from "./item_types";
import { LivenessAlert, useLiveness, Waits } from "./liveness";
import { PastBar } from "./past";
import { RateChart } from "./rate_chart";
import { SeriesCard } from "./series";
import { Stages } from "./stages";
import { StateTab } from "./state_tab";
import { Timeline } from "./timeline";
import { useVerify, Verification } from "./verify";
import { useJob, type WatchedJob } from "./watch_job";

const TABS: [name: string, title: string][] = [
  ["", "Progress"],
  ["errors", "Errors"],
  ["areas", "Areas"],
  ["state", "State"],
];

/** One job: how far it is, how it got there, and the commands for it. */
export function JobPage() {
  const id = usePlace().parameters.get("id");
  if (!id) {
    return (
      <>
        <PageHead title="Job" />
        <PageBody>
          <Empty title="Which job?">
            Choose one in the{" "}
            <a class="text-decoration-underline" href="/">
              overview
            </a>
            .
          </Empty>
        </PageBody>
      </>
    );
  }
  return <Watched key={id} id={id} />;
}

function Watched({ id }: { id: string }) {
  const watched = useJob(id);
  const { job, error, gone } = watched;
  useEffect(() => {
    document.title = `${id} · Tallymark`;
  }, [id]);
  if (job) {
    return <Page key={watched.turn} job={job} watched={watched} />;
  }
  return (
    <>
      <JobHead id={id} />
      <PageBody>
        {gone || error?.status === 404 ? (
          <Empty title="There is no such job">
            It was never registered, or it has been deleted. See{" "}
            <a class="text-decoration-underline" href="/">
              all jobs
            </a>
            .
          </Empty>
        ) : error?.status === 403 ? (
          <Empty title="You may not see this job">
            The token you signed in with is for other jobs, or may not read. See{" "}
            <a class="text-decoration-underline" href="/">
              all jobs
            </a>
            .
          </Empty>
        ) : error ? (
          <Failure error={error} retry={watched.reload} />
        ) : (
          <p class="text-secondary">Reading the job…</p>
        )}
      </PageBody>
    </>
  );
}

function Page({ job, watched }: { job: Job; watched: WatchedJob }) {
  const { parameters } = usePlace();
  const tab = parameters.get("tab") ?? "";
  const at = /^\d{1,15}$/.test(parameters.get("at") ?? "") ? Number(parameters.get("at")) : null;
  const before = useLoaded<Job>(at === null ? null : jobPath(job.id), {
    at,
    timelineLimit: 0,
  });
  const shown = at === null ? job : before.data;
  const verification = useVerify(job.id);
  const commands = useCommands(job, watched.take);
  const liveness = useLiveness(job);
  const choose = (seq: number | null) => setParameters({ at: seq === null ? null : String(seq) }, at !== null);
  const { subscribe } = watched;
  return (
    <>
      <JobHead id={job.id} beside={<Badge job={shown ?? job} />}>
        <LiveBadge liveness={watched.liveness} />
        <button type="button" class="btn" disabled={verification.asking} onClick={verification.verify}>
          {verification.asking ? "Verifying…" : "Verify"}
        </button>
        <Commands job={job} {...commands} />
      </JobHead>
      <PageBody>
        {watched.gone && (
          <div class="alert alert-danger" role="alert">
            <div class="text-body">This job has been deleted. This is its last known state.</div>
          </div>
        )}
        {watched.error && !watched.gone && <Failure error={watched.error} retry={watched.reload} />}
        <Asked job={job} failed={commands.failed} />
        <Verification {...verification} />
        {at !== null && <PastBar at={at} last={job.lastSeq} onChoose={choose} />}
        {before.error && at !== null && <Failure error={before.error} />}
        {shown && <CredentialAlert job={shown} />}
        {at === null && <LivenessAlert job={job} liveness={liveness} />}
        {shown && <Head job={shown} past={at !== null} aliveAt={liveness?.aliveAt ?? null} />}
        <Tabs chosen={tab} />
        {tab === "errors" ? (
          <ErrorsTab job={job} subscribe={subscribe} />
        ) : tab === "areas" ? (
          <AreasTab job={job} />
        ) : tab === "state" ? (
          shown && <StateTab key={String(at)} job={shown} at={at} />
        ) : (
          <div class="two-columns">
            <div>
              {shown?.books && <Books books={shown.books} ended={shown.status === "finished"} />}
              {at === null && <FamilyCard job={job} />}
              {at === null && <SeriesCard job={job} />}
              {shown && <ItemTypes progress={shown.progress} />}
              <RateChart job={job} subscribe={subscribe} />
              <Stages job={job} />
              <Waits liveness={liveness} />
            </div>
            <div class="story-column">
              <Timeline job={job} subscribe={subscribe} at={at} onChoose={choose} />
            </div>
          </div>
        )}
      </PageBody>
    </>
  );
}

function Badge({ job }: { job: Job }) {
  return <StatusBadge status={job.status} shortfall={job.shortfall} />;
}

function JobHead({ id, beside, children }: { id: string; beside?: ComponentChildren; children?: ComponentChildren }) {
  return (
    <div class="page-header mt-3">
      <div class="container-xl">
        <div class="job-head">
          <div class="job-title">
            <h1 class="page-title job-id">
              <bdi>{id}</bdi>
            </h1>
            {beside}
          </div>
          <div class="btn-list align-items-center">{children}</div>
        </div>
      </div>
    </div>
  );
}

function Tabs({ chosen }: { chosen: string }) {
  const { path, parameters } = usePlace();
  return (
    <nav class="mb-3" aria-label="Parts of the job">
      <ul class="nav nav-tabs job-tabs">
        {TABS.map(([name, title]) => {
          const address = new URLSearchParams(parameters);
          address.delete("tab");
          if (name) {
            address.set("tab", name);
          }
          return (
            <li class="nav-item" key={name}>
              <a
                class={`nav-link ${chosen === name ? "active" : ""}`}
                href={`${path}?${address}`}
                aria-current={chosen === name ? "page" : undefined}
                onClick={(click) => {
                  // Handled here, so that the page does not scroll to its top.
                  if (click.button === 0 && !click.ctrlKey && !click.metaKey && !click.shiftKey && !click.altKey) {
                    click.preventDefault();
                    setParameters({ tab: name });
                  }
                }}
              >
                {title}
              </a>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}

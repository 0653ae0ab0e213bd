import { useRef } from "preact/hooks";
import type { Job, TimelineEvent } from "../../lib/types";
import { Card, Empty, Failure, Time } from "../../parts/basics";
import { News } from "./timeline";
import { useStory } from "./use_story";
import { Block, isObject, Members, member, plainly, Said, Value } from "./values";
import type { Subscribe } from "./watch_job";

const PAGE = 20;

const KINDS = ["error"];

/** The errors of this job: the current one, and each one that was reported. */
export function ErrorsTab({ job, subscribe }: { job: Job; subscribe: Subscribe }) {
  const list = useRef<HTMLOListElement>(null);
  // Nothing moves while the viewer has scrolled down to read.
  const held = () => (list.current?.getBoundingClientRect().top ?? 0) < 0;
  const story = useStory(job, subscribe, { kinds: KINDS, page: PAGE, held });
  const { error: last, errorTimestamp: at } = job.progress;

  function release(): void {
    list.current?.scrollIntoView({ block: "start" });
    story.release();
  }

  return (
    <>
      {last != null && (
        <Card title="Last error" beside={typeof at === "string" && <Time at={at} as="both" />}>
          <LastError error={last} />
        </Card>
      )}
      <Card title="All errors" padded={false}>
        <News waiting={story.waitingCount} one="error" onClick={release} />
        {story.error && (
          <Failure error={story.error} retry={() => void (story.begun ? story.readOlder() : story.begin())} />
        )}
        {!story.begun && !story.error && <p class="p-3 mb-0 text-secondary">Reading the errors…</p>}
        {story.begun && story.shown.length === 0 && (
          <Empty title="No errors">None were reported by this job's crawler.</Empty>
        )}
        <ol class="list-group list-group-flush mb-0" ref={list}>
          {story.shown.map((event) => (
            <ErrorItem key={event.seq} event={event} />
          ))}
        </ol>
        {story.older !== null && (
          <div class="p-3 text-center">
            <button type="button" class="btn btn-sm" disabled={story.loadingOlder} onClick={() => story.readOlder()}>
              {story.loadingOlder ? "Reading…" : "Older errors"}
            </button>
          </div>
        )}
      </Card>
    </>
  );
}

function LastError({ error }: { error: NonNullable<Job["progress"]["error"]> }) {
  if (!isObject(error)) {
    return <Value value={error} />;
  }
  const stack = member(error, "stack");
  return (
    <>
      {typeof stack === "string" && <Block label="Stack">{stack}</Block>}
      <Members of={error} except={typeof stack === "string" ? ["stack"] : []} />
    </>
  );
}

function ErrorItem({ event }: { event: TimelineEvent }) {
  const { details } = event;
  const [type, message, code, worker, stack, context] = [
    "errorType",
    "errorMessage",
    "errorCode",
    "workerId",
    "stack",
    "context",
  ].map((name) => member(details, name));
  return (
    <li class="list-group-item" data-seq={event.seq}>
      <div class="d-flex gap-2 flex-wrap align-items-baseline">
        <strong class="event-error">{type === undefined ? "Error" : <Said>{plainly(type)}</Said>}</strong>
        {code !== undefined && (
          <code>
            <Said>{plainly(code)}</Said>
          </code>
        )}
        <span class="ms-auto text-secondary small">
          {worker !== undefined && (
            <>
              <Said>{plainly(worker)}</Said> ·{" "}
            </>
          )}
          <Time at={event.timestamp} as="both" /> · #{event.seq}
        </span>
      </div>
      {message !== undefined && (
        <p class="mb-1">
          <Said>{plainly(message)}</Said>
        </p>
      )}
      {stack !== undefined && <Block label="Stack">{plainly(stack)}</Block>}
      {context !== undefined && <Value value={context} />}
    </li>
  );
}

import { useEffect, useState } from "preact/hooks";
import { ApiError, get, jobPath } from "../../lib/api";
import type { Job, TimelineEvent, TimelinePage } from "../../lib/types";
import { Card, Empty, Failure, Time } from "../../parts/basics";
import { Block, isObject, Members, member, plainly, Said, Value } from "./values";

const PAGE = 20;

/** What went wrong in this job: the error that it shows now, and each one that was reported. */
export function ErrorsTab({ job }: { job: Job }) {
  const { events, older, error, loading, more } = useErrors(job);
  const { error: last, errorTimestamp: at } = job.progress;
  return (
    <>
      {last != null && (
        <Card title="Last error" beside={typeof at === "string" && <Time at={at} as="both" />}>
          <LastError error={last} />
        </Card>
      )}
      <Card title="All errors" padded={false}>
        {error && <Failure error={error} retry={more} />}
        {!loading && !error && events.length === 0 && (
          <Empty title="No errors">None were reported by this job's crawler.</Empty>
        )}
        <ol class="list-group list-group-flush mb-0">
          {events.map((event) => (
            <ErrorItem key={event.seq} event={event} />
          ))}
        </ol>
        {older !== null && (
          <div class="p-3 text-center">
            <button type="button" class="btn btn-sm" disabled={loading} onClick={more}>
              {loading ? "Reading…" : "Older errors"}
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

function useErrors(job: Job) {
  const [events, setEvents] = useState<TimelineEvent[]>([]);
  const [older, setOlder] = useState<number | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [loading, setLoading] = useState(true);

  async function read(before: number, signal?: AbortSignal): Promise<void> {
    setLoading(true);
    try {
      const page = await get<TimelinePage>(
        jobPath(job.id, "timeline"),
        { before, limit: PAGE, event: "error" },
        signal,
      );
      setEvents((shown) => (before ? [...shown, ...page.events] : page.events));
      setOlder(page.next);
      setError(null);
    } catch (problem) {
      if (!(problem instanceof ApiError)) {
        return; // somebody went elsewhere meanwhile
      }
      setError(problem);
    }
    setLoading(false);
  }

  useEffect(() => {
    const ended = new AbortController();
    void read(0, ended.signal);
    return () => ended.abort();
    // A new error is one with another time.
  }, [job.id, job.progress.errorTimestamp]);
  return { events, older, error, loading, more: () => void read(older ?? 0) };
}

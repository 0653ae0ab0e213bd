import { useState } from "preact/hooks";
import { ApiError, jobPath, query, signIn } from "../../lib/api";
import type { Job, Json } from "../../lib/types";
import { Card, Empty, Failure } from "../../parts/basics";
import { CredentialFacts } from "./credential";
import { pretty } from "./pretty";
import { Block, isObject, Members, Said, Value } from "./values";

/** Members of progress that the page shows elsewhere. */
const ELSEWHERE = [
  "processedItems",
  "totalItems",
  "itemsByType",
  "foundByType",
  "failedByType",
  "skippedByType",
  "totalsByType",
  "stage",
  "operationType",
  "currentDataType",
  "message",
  "error",
  "errorTimestamp",
  "credentialStatus",
  "timeline",
];

/** The stored state of a job: where it resumes, its attributes, further fields, and the raw JSON. */
export function StateTab({ job, at }: { job: Job; at: number | null }) {
  const { lastProcessedId, ...others } = job.progress;
  const further = Object.fromEntries(
    Object.entries(others).filter(([name, value]) => value !== undefined && !ELSEWHERE.includes(name)),
  ) as Record<string, Json>;
  return (
    <div class="two-columns">
      <div>
        <Card title="Where it resumes">
          {lastProcessedId === undefined && job.resumeState === null ? (
            <Empty title="Nothing to resume from">
              A crawler that is started again begins from the start, or from its counts. It keeps its place by reporting{" "}
              <code>progress</code> or <code>lastProcessedId</code>.
            </Empty>
          ) : (
            <>
              {lastProcessedId !== undefined && (
                <p>
                  Last processed: <Said>{lastProcessedId}</Said>
                </p>
              )}
              {job.resumeState !== null && <Value value={job.resumeState} />}
            </>
          )}
        </Card>
        {isObject(job.progress.credentialStatus) && (
          <Card title="Credential">
            <CredentialFacts job={job} />
          </Card>
        )}
        {Object.keys(job.attributes ?? {}).length > 0 && (
          <Card title="Attributes">
            <Members of={job.attributes} />
          </Card>
        )}
        {Object.keys(further).length > 0 && (
          <Card title="Also reported">
            <Members of={further} />
          </Card>
        )}
      </div>
      <div>
        <Raw id={job.id} at={at} />
      </div>
    </div>
  );
}

/** The job as the API returns it, read on demand. */
function Raw({ id, at }: { id: string; at: number | null }) {
  const [text, setText] = useState<string | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [copied, setCopied] = useState("");
  const address = jobPath(id) + query({ at });

  async function read(): Promise<void> {
    setError(null);
    setCopied("");
    try {
      setText(pretty(await readText(address)));
    } catch (problem) {
      if (!(problem instanceof ApiError)) {
        throw problem;
      }
      setError(problem);
    }
  }

  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(text ?? "");
      setCopied("Copied");
    } catch {
      setCopied("Not copied: the browser does not allow it");
    }
  }

  const beside = (
    <div class="btn-list align-items-center">
      <span role="status" class="text-secondary small">
        {copied}
      </span>
      {text !== null && (
        <button type="button" class="btn btn-sm" onClick={copy}>
          Copy
        </button>
      )}
      <button type="button" class="btn btn-sm" onClick={read}>
        {text === null ? "Show" : "Read again"}
      </button>
    </div>
  );
  return (
    <Card title="Raw JSON" beside={beside}>
      {error && <Failure error={error} retry={read} />}
      {text === null ? (
        !error && (
          <p class="text-secondary mb-0">
            What{" "}
            <a class="text-decoration-underline" href={address} target="_blank" rel="noreferrer">
              the API
            </a>{" "}
            returns for this job, with its newest 100 events.
          </p>
        )
      ) : (
        <Block label="The job as JSON">{text}</Block>
      )}
    </Card>
  );
}

/** Read as text, since numbers past 2^53 would not survive being parsed. */
async function readText(address: string): Promise<string> {
  let answer: Response;
  try {
    answer = await fetch(address);
  } catch {
    throw new ApiError(0, null);
  }
  if (answer.status === 401) {
    signIn();
  }
  if (!answer.ok) {
    throw new ApiError(answer.status, await answer.json().catch(() => null));
  }
  return await answer.text();
}

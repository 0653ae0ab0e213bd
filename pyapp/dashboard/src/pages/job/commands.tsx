import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, jobPath, post } from "../../lib/api";
import { mayCommand } from "../../lib/boot";
import type { Command, Job } from "../../lib/types";

/** Whether the job has ended; a job that was started again has not. */
export function hasEnded(job: Job): boolean {
  return job.finishedAt !== null;
}

/** Gives commands to a job's crawler. */
export function useCommands(job: Job, take: (job: Job) => void) {
  const [sending, setSending] = useState<Command | null>(null);
  const [failed, setFailed] = useState<{ command: Command; error: ApiError } | null>(null);

  async function send(command: Command): Promise<void> {
    setSending(command);
    setFailed(null);
    try {
      take(await post<Job>(jobPath(job.id, "command"), { command }));
    } catch (error) {
      if (!(error instanceof ApiError)) {
        throw error;
      }
      setFailed({ command, error });
    }
    setSending(null);
  }
  // The next change of the job clears an error of a command.
  useEffect(() => setFailed(null), [job.lastSeq]);
  return { sending, failed, send };
}

type Commanding = ReturnType<typeof useCommands>;

/** The buttons, for viewers who may use them. */
export function Commands({ job, sending, send }: Commanding & { job: Job }) {
  const dialog = useRef<HTMLDialogElement>(null);
  if (!mayCommand || hasEnded(job)) {
    return null;
  }
  const button = (command: Command, label: string, colour: string, onClick: () => void) => (
    <button
      type="button"
      class={`btn ${colour}`}
      disabled={sending !== null || job.command === command}
      onClick={onClick}
    >
      {sending === command ? "Asking…" : label}
    </button>
  );
  return (
    <>
      <div class="btn-list">
        {job.status === "paused" || job.command === "pause"
          ? button("resume", "Resume", "btn-primary", () => send("resume"))
          : button("pause", "Pause", "", () => send("pause"))}
        {button("cancel", "Cancel…", "btn-outline-danger", () => dialog.current?.showModal())}
      </div>
      <dialog ref={dialog} class="dialog" aria-labelledby="cancel-title" aria-describedby="cancel-text">
        <form method="dialog">
          <h2 class="card-title" id="cancel-title">
            Cancel this job?
          </h2>
          <div id="cancel-text">
            <p class="job-id fw-bold">
              <bdi>{job.id}</bdi>
            </p>
            <p>The crawler gets the command with the answer to its next report. What it has counted so far is kept.</p>
          </div>
          <div class="btn-list justify-content-end">
            <button type="submit" class="btn">
              Keep it running
            </button>
            <button type="submit" class="btn btn-danger" onClick={() => send("cancel")}>
              Cancel the job
            </button>
          </div>
        </form>
      </dialog>
    </>
  );
}

/** Whether the command was accepted, and whether the crawler has obeyed. */
export function Asked({ job, failed }: Pick<Commanding, "failed"> & { job: Job }) {
  const before = useRef(job.command);
  const [obeyed, setObeyed] = useState<Command | null>(null);
  useEffect(() => {
    if (before.current !== job.command) {
      setObeyed(job.command === null ? before.current : null);
      before.current = job.command;
    }
  }, [job.command]);
  return (
    <div role="status">
      {failed && (
        <div class="alert alert-danger mb-3" data-failed={failed.command}>
          <div class="text-body">
            Could not ask the crawler to {failed.command}: {failed.error.message}
          </div>
        </div>
      )}
      {job.command && (
        <div class="alert alert-warning mb-3" data-command={job.command}>
          <div class="text-body">
            Requested: <strong>{job.command}</strong>. The crawler gets the command with the answer to its next report.
          </div>
        </div>
      )}
      {!job.command && obeyed && (
        <div class="alert alert-success mb-3" data-obeyed={obeyed}>
          <div class="text-body">
            The crawler has obeyed the command to {obeyed}. The job is <strong>{job.status}</strong> now.
          </div>
        </div>
      )}
    </div>
  );
}

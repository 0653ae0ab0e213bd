import type { Job } from "../../lib/types";
import { Time } from "../../parts/basics";
import { isObject, Members, member, plainly, Said } from "./values";

/** How each status is shown; the job itself says what to do. */
const STATES: Record<string, { colour: string; title: string }> = {
  credential_expired: { colour: "alert-danger", title: "The credentials have expired" },
  waiting_credential_renewal: { colour: "alert-warning", title: "Waiting for new credentials" },
  credential_renewed: { colour: "alert-success", title: "The new credentials work" },
};

/** An alert while a credential needs attention. */
export function CredentialAlert({ job }: { job: Job }) {
  const state = STATES[job.status];
  if (!state) {
    return null;
  }
  const credential = job.progress.credentialStatus;
  const message = member(credential, "message");
  const at = member(credential, "timestamp");
  return (
    <div class={`alert ${state.colour} mb-3`} role="alert">
      <div class="text-body">
        <h2 class="alert-title h4">{state.title}</h2>
        {message !== undefined && (
          <p class="mb-1">
            <Said>{plainly(message)}</Said>
          </p>
        )}
        <ul class="mb-1">
          {(job.credentialGuidance ?? []).map((line) => (
            <li key={line}>
              <Said>{line}</Said>
            </li>
          ))}
        </ul>
        <p class="small mb-0">
          {["providerId", "instanceType", "errorType", "severity"]
            .map((name) => member(credential, name))
            .filter((value) => value !== undefined)
            .map((value, place) => (
              <span key={String(place)}>
                {place > 0 && " · "}
                <Said>{plainly(value)}</Said>
              </span>
            ))}
          {typeof at === "string" && !Number.isNaN(Date.parse(at)) && (
            <>
              {" · "}
              <Time at={at} as="both" />
            </>
          )}
        </p>
      </div>
    </div>
  );
}

/** Everything that is known of the job's credential. */
export function CredentialFacts({ job }: { job: Job }) {
  const { credentialStatus } = job.progress;
  return isObject(credentialStatus) ? <Members of={credentialStatus} /> : null;
}

import { boot } from "./boot";
import { noteServerTime, serverNow } from "./clock";
import type { ProblemDetails } from "./types";

export const API = "/api/internal";

/** A time relative to the server's current time, computed when a request is sent. */
interface Ago {
  hoursAgo: number;
}

type Value = string | number | Ago | null | undefined;
/** The query parameters; null, undefined and empty texts are left out, an array gives one parameter for each value. */
export type Parameters = Record<string, Value | Value[]>;

/** An answer that is an error, or no answer at all (`status` 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: ProblemDetails | null,
  ) {
    super(problem?.detail || problem?.error || (status === 0 ? "The server cannot be reached." : `HTTP ${status}`));
  }
}

/** Writes parameters as the query of an address. */
export function query(parameters: Parameters): string {
  const written = new URLSearchParams();
  for (const [name, given] of Object.entries(parameters)) {
    for (const value of Array.isArray(given) ? given : [given]) {
      if (value !== null && value !== undefined && value !== "") {
        written.append(name, typeof value === "object" ? instantOf(value) : String(value));
      }
    }
  }
  const text = written.toString();
  return text ? `?${text}` : "";
}

function instantOf({ hoursAgo }: Ago): string {
  return new Date(serverNow() - hoursAgo * 3_600_000).toISOString();
}

/** The path of a job in the API; `part` is a part of it, such as "timeline". */
export function jobPath(id: string, part = ""): string {
  return `${API}/jobs/${encodeURIComponent(id)}${part && `/${part}`}`;
}

/** Reads. Throws ApiError; if the session has ended, the viewer is sent to sign in. */
export async function get<T>(path: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<T> {
  return await call<T>(path + query(parameters), { signal: signal ?? null });
}

/** Changes something. Throws ApiError. */
export async function post<T>(path: string, body: unknown): Promise<T> {
  return await call<T>(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": boot.csrf },
    body: JSON.stringify(body),
  });
}

let leaving = false;
// A viewer who comes back without having signed in is sent there again.
addEventListener("pageshow", () => {
  leaving = false;
});

/** Sends the viewer to sign in, and back here afterwards. */
export function signIn(): void {
  if (leaving) {
    return;
  }
  leaving = true;
  location.assign(`/sign-in${query({ next: location.pathname + location.search })}`);
}

async function call<T>(address: string, options: RequestInit): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(address, {
      ...options,
      headers: { Accept: "application/json", ...options.headers },
    });
  } catch (error) {
    throw isAbort(error) ? error : new ApiError(0, null);
  }
  noteServerTime(answer.headers.get("Date"));
  if (answer.status === 401) {
    signIn();
  }
  const isProblem = answer.headers.get("Content-Type")?.startsWith("application/problem+json");
  if (!answer.ok && !isProblem) {
    throw new ApiError(answer.status, null);
  }
  let document: unknown;
  try {
    document = await answer.json();
  } catch (error) {
    // Cut off in the middle, or aborted by the page itself.
    throw isAbort(error) ? error : new ApiError(0, null);
  }
  if (!answer.ok) {
    throw new ApiError(answer.status, document as ProblemDetails);
  }
  return document as T;
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

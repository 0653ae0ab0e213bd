import type { FailuresPage, OverviewPage } from "./types";

/** What the server sends about the session, along with the page. */
export interface Boot {
  /** Goes with each call that changes something, as `X-CSRF-Token`. */
  csrf: string;
  /** The name of the token; empty for a token from the server's settings. */
  name: string;
  scopes: string[];
  /** The token is for jobs whose ids begin with this. */
  jobPrefix: string;
  version: string;
  /** The first page of the overview, if that is the requested page. */
  first: OverviewPage | null;
  /** The jobs that failed last, sent along because they are shown above the list and would otherwise push it down. */
  failed: FailuresPage | null;
}

const block = document.getElementById("boot")?.textContent ?? "";

export const boot: Boot = JSON.parse(block);

/** Whether this viewer may use the buttons that change something. */
export const mayCommand = boot.scopes.includes("admin");

import type { FailuresPage, OverviewPage } from "./types";

/** What the server says of the session, along with the page. */
export interface Boot {
  /** Goes with each call that changes something, as `X-CSRF-Token`. */
  csrf: string;
  /** What people call the token that was shown; empty for one of the server's own settings. */
  name: string;
  scopes: string[];
  /** The token is for jobs whose ids begin with this. */
  jobPrefix: string;
  version: string;
  /** The first page of the overview, where that is the page that was asked for. */
  first: OverviewPage | null;
  /** Along with it, the jobs that failed last: they stand above, and would else push it down when they come. */
  failed: FailuresPage | null;
}

const block = document.getElementById("boot")?.textContent ?? "";

export const boot: Boot = JSON.parse(block);

/** Whether the buttons that change something are for this viewer. */
export const mayCommand = boot.scopes.includes("admin");

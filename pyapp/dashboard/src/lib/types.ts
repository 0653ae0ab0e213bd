/** Documents of the HTTP API, see docs/openapi.json. Instants are ISO 8601 in UTC, durations are seconds. */

export type Status =
  | "queued"
  | "running"
  | "waiting"
  | "paused"
  | "finished"
  | "failed"
  | "cancelled"
  | "credential_expired"
  | "waiting_credential_renewal"
  | "credential_renewed";
export type Command = "pause" | "resume" | "cancel";
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface Wait {
  until: string | null;
  reason: string | null;
}

/** What became of the items of a type; null is unknown. */
export interface Book {
  total: number | null;
  done: number;
  failed: number;
  skipped: number;
  left: number | null;
  /** By how many these are more than there are. */
  over: number | null;
}
/** How many items of each type are missing from a job that has finished; null where none is. */
export type Shortfall = Record<string, number> | null;

/** A job as lists have it. */
export interface Row {
  id: string;
  status: Status;
  percentage: number | null;
  summary: string;
  shortfall: Shortfall;
  stage: string | null;
  operationType: string | null;
  processedItems: number | null;
  totalItems: number | null;
  itemTypes: number;
  /** As the crawler sent it. */
  credentialStatus: Json;
  command: Command | null;
  /** While it waits: until when and for what, as far as its crawler said so. */
  wait: Wait | null;
  error: { type: string | null; message: string | null } | null;
  lastSeq: number;
  startedAt: string | null;
  finishedAt: string | null;
  updatedAt: string;
  createdAt: string;
}

export interface OverviewPage {
  jobs: Row[];
  next: string | null;
}

/** What is part of a job, added up; `withoutEta` counts the jobs that have not ended and have no known end. */
export interface Family {
  id: string;
  children: number;
  statuses: Partial<Record<Status, number>>;
  percentage: number | null;
  summary: string;
  itemsByType: Record<string, number>;
  slowest: string | null;
  etaSeconds: number | null;
  eta: string | null;
  withoutEta: number;
  finishedAt: string | null;
  jobs: Row[];
  next: string | null;
}

/** A run of a series; `pace` has the seconds since its start and the items by then. */
export interface Run {
  id: string;
  status: Status;
  createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  seconds: number | null;
  items: number;
  itemsByType: Record<string, number>;
  summary: string;
  shortfall: Shortfall;
  pace: [seconds: number, items: number][];
}

/** A job beside the runs of its series before it. */
export interface JobSeries {
  id: string;
  series: string | null;
  run: Run;
  comparison: {
    runs: number;
    elapsedSeconds: number | null;
    items: number;
    usual: number | null;
    lowest: number | null;
    highest: number | null;
    usualTotal: number | null;
    usualSeconds: number | null;
    expectedTotal: number | null;
    expectedSeconds: number | null;
    expectedEnd: string | null;
    unusual: boolean;
  } | null;
  rhythm: { everySeconds: number | null; dueAt: string | null; missed: boolean } | null;
  runs: Run[];
  other?: Run;
}

/** The jobs that failed last. */
export interface FailuresPage {
  jobs: Row[];
}

export interface Statuses {
  statuses: Record<Status, { jobs: number; more: boolean }>;
  jobs: number;
  more: boolean;
}

/** How fast a job goes; null is unknown. */
export interface Rate {
  id: string;
  windowSeconds: number;
  updates: number;
  itemsPerSecond: number | null;
  low: number | null;
  high: number | null;
  itemsLeft: number | null;
  etaSeconds: number | null;
  etaSecondsLow: number | null;
  etaSecondsHigh: number | null;
  eta: string | null;
  frequency?: Frequency;
}

export interface Frequency {
  updates: number;
  perMinute: number | null;
  medianGapSeconds: number | null;
  longGapSeconds: number | null;
  lastUpdateAt: string | null;
}

/** A job whose updates are overdue. Stuck: signs of life come and updates do not. Silent: neither comes. */
export interface Stalled {
  id: string;
  state: "stuck" | "silent" | "never_reported";
  lastUpdateAt: string;
  silentSeconds: number;
  allowedSeconds: number;
  /** From when on its silence counts: after a wait, from its end. */
  since: string;
  aliveAt: string | null;
  waitUntil: string | null;
  reason: string | null;
}

/** Whether a job works, waits, is stuck or is silent, and what it has waited for. */
export interface Liveness {
  id: string;
  state: "working" | "waiting" | "queued" | Stalled["state"] | null;
  lastUpdateAt: string | null;
  aliveAt: string | null;
  since: string | null;
  allowedSeconds: number | null;
  waitUntil: string | null;
  reason: string | null;
  waited: {
    seconds: number;
    reasons: { reason: string | null; waits: number; seconds: number; lastAt: string; current: boolean }[];
  };
}

/** Figures of the whole system, sent along with the overview. */
export interface Totals {
  statuses: Statuses;
  throughput: { eventsPerSecond: number; errorsPerMinute: number };
  stalled: Stalled[];
  rates: Record<string, Rate>;
}

export interface OverviewChange {
  order: string[];
  rows: Row[];
  next: string | null;
}

/** A job in the original's shape, without its timeline. */
export interface Job {
  id: string;
  status: Status;
  progress: Progress;
  resumeState: Json;
  lastSeq: number;
  percentage: number | null;
  summary: string;
  /** By type; null where there is nothing to balance. */
  books: Record<string, Book> | null;
  shortfall: Shortfall;
  startedAt: string | null;
  finishedAt: string | null;
  updatedAt: string;
  createdAt: string;
  attributes: Record<string, Json>;
  command: Command | null;
  /** The job that it is part of. */
  parent?: string;
  /** What to do about the job's credentials, while its status is about credentials. */
  credentialGuidance?: string[];
  /** While it waits. */
  wait?: Wait;
}

/** The merged state; crawlers send further members, too. */
export interface Progress {
  processedItems?: number;
  totalItems?: number;
  itemsByType?: Record<string, number>;
  stage?: string;
  operationType?: string;
  currentDataType?: string;
  message?: string;
  lastProcessedId?: string;
  credentialStatus?: Json;
  error?: Json;
  lastAreasDiscovery?: Record<string, Json>;
  [member: string]: Json | undefined;
}

export interface TimelineEvent {
  seq: number;
  /** When it happened, by the crawler's clock. */
  timestamp: string;
  event: string;
  details: Record<string, Json>;
  /** When it was recorded, by the server's clock. */
  recordedAt?: string;
}

export interface TimelinePage {
  events: TimelineEvent[];
  next: number | null;
  /** Events up to this one were pruned; absent if none were. */
  prunedSeq?: number;
}

/** The changes of a job: `events` has no gaps, except for the `skipped` events before it. */
export interface JobChange {
  id: string;
  lastSeq: number;
  tag: string;
  job: Job;
  events: TimelineEvent[];
  skipped: number;
  /** The events that the page has are not those of the ledger any more: a backup was restored. */
  reset?: true;
}

/** RFC 9457, with two extension members. */
export interface ProblemDetails {
  status: number;
  title: string;
  detail: string;
  error: string;
  details: { field: string; problem: string }[];
}

/** Similar errors: the same type, and the same message except for numbers and names in it. */
export interface ErrorGroup {
  type: string | null;
  message: string | null;
  count: number;
  jobs: number;
  firstSeen: string;
  lastSeen: string;
  /** How many there were in each of 24 equal parts of the requested time, oldest first. */
  trend: number[];
  /** The newest of them. */
  sample: { taskId: string; seq: number; message: string | null };
}

export interface ErrorsDocument {
  errors: ErrorGroup[];
  since: string;
  until: string;
}

/** The jobs that ended on a day (in UTC). */
export interface Day {
  day: string;
  finished: number;
  failed: number;
  cancelled: number;
  items: number;
  /** Null where none ended. */
  medianDurationSeconds: number | null;
  /** 0 to 1, null where none finished or failed. */
  successRate: number | null;
}

export interface Area {
  path: string;
  /** Possibly an area that nobody discovered. */
  parent: string | null;
  /** How many levels below the beginning of the tree. */
  depth: number;
  type: string;
  name: string | null;
  jobs: number;
}

export interface Throughput {
  /** Oldest first; the last minute is not complete yet. */
  minutes: { minute: string; events: number; errors: number; jobs: number }[];
  eventsPerSecond: number;
  errorsPerMinute: number;
}

/** How often a running job is reported on. */
export interface JobFrequency {
  id: string;
  perMinute: number | null;
  medianGapSeconds: number | null;
  longGapSeconds: number | null;
  lastUpdateAt: string | null;
}

/** Whether the newest jobs match their ledgers. */
export interface Accuracy {
  checked: number;
  exact: number;
  differing: string[];
  /** Jobs whose ledgers were too long to compare. */
  skipped: number;
}

export interface DatabaseFigures {
  version: string;
  /** Null if the server's user may not know it. */
  bytes: number | null;
  startedAt: string;
  replica: boolean;
  /** `rows` and `deadRows` are estimates. Null while a node of a distributed database is away. */
  tables: {
    table: string;
    rows: number | null;
    bytes: number | null;
    indexBytes: number | null;
    deadRows: number | null;
  }[];
  /** Those of a distributed database. */
  nodes?: { node: string; answers: boolean; bytes: number | null }[];
}

/** Requests of one kind since counting began; percentiles in seconds. */
export interface RouteFigures {
  route: string;
  method: string;
  requests: number;
  errors4xx: number;
  errors5xx: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
}

export interface EndpointFigures {
  routes: RouteFigures[];
  /** How many updates there were, and in how many calls of the database they were merged. */
  groups: { calls: number; updates: number };
  since: string;
  /** Present if there is a replica. */
  replica?: { used: boolean; lagSeconds: number | null };
}

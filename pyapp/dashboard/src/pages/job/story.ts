import { ApiError, get, jobPath, type Parameters } from "../../lib/api";
import type { Job, JobChange, TimelineEvent, TimelinePage } from "../../lib/types";

const CATCH_UP_PAGE = 1000;
/** A viewer who is further behind than this starts again with the newest page. */
const MOST_BEHIND = 5000;
/** A page that is left open for days must not grow without end: events that are dropped can be read again. */
const MOST_SHOWN = 2000;
const AGAIN_MS = 2000;

/** Which events of a job are shown, and how. */
export interface Wanted {
  /** Only events of these kinds; none means all. */
  kinds: string[];
  /** How many are read at once. */
  page: number;
  /** Whether new events wait. */
  held: () => boolean;
}

/**
 * The events of a job that are shown: all events of the chosen kinds between the oldest and the newest of them, without
 * a gap. New ones are added at the top, or wait while the viewer reads.
 */
export class Story {
  /** Newest first. */
  shown: TimelineEvent[] = [];
  /** New ones that are not shown yet, newest first. */
  waiting: TimelineEvent[] = [];
  /** The seq before which there are more; null if the oldest is shown. */
  older: number | null = null;
  /** Events up to this one were pruned. */
  prunedSeq = 0;
  error: ApiError | null = null;
  /** Whether the first page has come. */
  begun = false;
  loadingOlder = false;
  /** There are too many new ones to keep them all waiting. */
  private farBehind = false;
  /** All events up to here are in `shown` or `waiting`. */
  private upTo = 0;
  /** The newest event that is known. */
  private known: number;
  private createdAt: string;
  /** Rises whenever everything starts again: answers to requests of an earlier turn are dropped. */
  private turn = 0;
  /** The turn in which missing events are being read, if they are. */
  private catching: number | null = null;
  private again = 0;
  private readonly ended = new AbortController();
  private readonly id: string;

  /**
   * @param job The job as known so far.
   * @param wanted Which events to show, and how.
   * @param tell Called after each change.
   */
  constructor(
    job: Pick<Job, "id" | "lastSeq" | "createdAt">,
    private readonly wanted: Wanted,
    private readonly tell: () => void,
  ) {
    this.id = job.id;
    this.known = job.lastSeq;
    this.createdAt = job.createdAt;
  }

  /** Reads the newest page, and forgets the others. */
  async begin(): Promise<void> {
    this.turn += 1;
    const { turn, known } = this;
    window.clearTimeout(this.again);
    try {
      const page = await this.read({ before: 0, limit: this.wanted.page });
      if (turn !== this.turn) {
        return;
      }
      this.shown = page.events;
      this.waiting = [];
      this.older = page.next;
      this.upTo = Math.max(known, page.events[0]?.seq ?? 0);
      this.begun = true;
      this.farBehind = false;
      this.error = null;
    } catch (error) {
      if (turn !== this.turn) {
        return;
      }
      this.fail(error, () => this.begin());
    }
    this.tell();
    await this.catchUp();
  }

  end(): void {
    this.ended.abort();
    window.clearTimeout(this.again);
  }

  /** Takes a change of the job; known events are skipped, missing ones are read. */
  hear(change: JobChange): void {
    if (this.createdAt !== change.job.createdAt) {
      this.forget(change);
      return;
    }
    this.known = Math.max(this.known, change.lastSeq);
    if (!this.begun || this.catching === this.turn || this.farBehind) {
      this.tell();
      return;
    }
    const news = change.events.filter((event) => event.seq > this.upTo);
    if (news.length > 0 && news.length === change.lastSeq - this.upTo) {
      const { kinds } = this.wanted;
      this.upTo = change.lastSeq;
      this.add(news.filter((event) => kinds.length === 0 || kinds.includes(event.event)));
      this.error = null;
      this.tell();
    } else {
      void this.catchUp();
    }
  }

  /** Shows those that wait. */
  release(): void {
    if (this.farBehind) {
      void this.begin();
      return;
    }
    this.show();
    this.tell();
  }

  /** How many new events are not shown; null means too many to know. */
  get waitingCount(): number | null {
    if (!this.farBehind) {
      return this.waiting.length;
    }
    // If only some kinds are shown, any number of them may match.
    return this.wanted.kinds.length > 0 ? null : this.known - (this.shown[0]?.seq ?? 0);
  }

  /** Reads a page of older ones. */
  async readOlder(): Promise<void> {
    const { turn, older } = this;
    if (older === null || this.loadingOlder) {
      return;
    }
    this.loadingOlder = true;
    this.tell();
    try {
      const page = await this.read({ before: older, limit: this.wanted.page });
      // The oldest shown events may have been dropped meanwhile.
      if (turn === this.turn && older === this.older) {
        this.shown = [...this.shown, ...page.events];
        this.older = page.next;
        this.error = null;
      }
    } catch (error) {
      if (turn === this.turn) {
        this.fail(error);
      }
    }
    this.loadingOlder = false;
    this.tell();
  }

  /** Starts with another job under the same id: none of the shown events belong to it. */
  private forget({ job, lastSeq }: JobChange): void {
    this.createdAt = job.createdAt;
    this.known = lastSeq;
    this.shown = [];
    this.waiting = [];
    this.older = null;
    this.begun = false;
    this.farBehind = false;
    void this.begin();
    this.tell();
  }

  /** Reads what is missing between `upTo` and `known`, unless everything starts again meanwhile. */
  private async catchUp(): Promise<void> {
    const { turn } = this;
    if (this.catching === turn || !this.begun) {
      return;
    }
    this.catching = turn;
    try {
      while (this.upTo < this.known && !this.farBehind) {
        if (this.isTooFar()) {
          this.farBehind = true;
          break;
        }
        const { known } = this;
        const page = await this.read({ after: this.upTo, limit: CATCH_UP_PAGE });
        if (turn !== this.turn) {
          return;
        }
        this.upTo = page.next ?? Math.max(known, page.events.at(-1)?.seq ?? 0);
        this.add(page.events);
      }
      this.error = null;
    } catch (error) {
      if (turn !== this.turn) {
        return;
      }
      this.fail(error, () => this.catchUp());
    }
    this.catching = null;
    if (this.farBehind && !this.wanted.held()) {
      await this.begin();
    }
    this.tell();
  }

  /** Whether to start again instead of reading all missing events. If only some kinds are shown, few may match. */
  private isTooFar(): boolean {
    const { kinds, held } = this.wanted;
    return this.known - this.upTo > MOST_BEHIND && (kinds.length === 0 || !held());
  }

  private add(events: TimelineEvent[]): void {
    this.waiting = [...events.toReversed(), ...this.waiting];
    if (!this.wanted.held()) {
      this.show();
    } else if (this.waiting.length > MOST_BEHIND) {
      this.waiting = [];
      this.farBehind = true;
    }
  }

  private show(): void {
    this.shown = [...this.waiting, ...this.shown];
    this.waiting = [];
    if (this.shown.length > MOST_SHOWN) {
      this.shown.length = MOST_SHOWN;
      this.older = this.shown.at(-1)?.seq ?? null;
    }
  }

  private async read(parameters: Parameters): Promise<TimelinePage> {
    const wanted = { ...parameters, event: this.wanted.kinds };
    const page: TimelinePage = await get(jobPath(this.id, "timeline"), wanted, this.ended.signal);
    this.prunedSeq = page.prunedSeq ?? 0;
    return page;
  }

  private fail(error: unknown, again?: () => void): void {
    if (this.ended.signal.aborted) {
      return;
    }
    if (!(error instanceof ApiError)) {
      throw error;
    }
    this.error = error;
    // The server is away or busy: missing events are requested again later.
    if (again && (error.status === 0 || error.status >= 500)) {
      window.clearTimeout(this.again);
      this.again = window.setTimeout(again, AGAIN_MS);
    }
  }
}

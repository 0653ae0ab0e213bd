import { ApiError, get, jobPath, type Parameters } from "../../lib/api";
import type { JobChange, TimelineEvent, TimelinePage } from "../../lib/types";

const PAGE = 50;
const CATCH_UP_PAGE = 1000;
/** Who is further behind begins with the newest page again, from which older ones are read as usual. */
const MOST_BEHIND = 5000;
/** A page that is left open for days must not grow without end: what falls off can be paged back to. */
const MOST_SHOWN = 2000;
const AGAIN_MS = 2000;

/**
 * The events of a job that are shown: always without a gap between the oldest and the newest of them, as far as the
 * kinds that are wanted go. New ones come in on top, or wait while somebody reads.
 */
export class Story {
  /** Newest first. */
  shown: TimelineEvent[] = [];
  /** New ones that are not shown yet, newest first. */
  waiting: TimelineEvent[] = [];
  /** The seq before which there are more; null where the oldest is shown. */
  older: number | null = null;
  error: ApiError | null = null;
  /** Whether the first page has come. */
  begun = false;
  loadingOlder = false;
  /** There are too many new ones to keep them all waiting. */
  farBehind = false;

  /** All events up to here are in `shown` or `waiting`. */
  private upTo = 0;
  /** The newest event that was heard of. */
  private known = 0;
  private createdAt = "";
  private catching = false;
  private again = 0;
  private readonly ended = new AbortController();

  /**
   * @param id The job.
   * @param kinds Only events of these; none are all.
   * @param held Whether new events wait.
   * @param tell Told of whatever changed.
   */
  constructor(
    private readonly id: string,
    private readonly kinds: string[],
    private readonly held: () => boolean,
    private readonly tell: () => void,
  ) {}

  /** Reads the newest page, and forgets the others. */
  async begin(): Promise<void> {
    const known = this.known;
    try {
      const page = await this.read({ before: 0, limit: PAGE });
      this.shown = page.events;
      this.waiting = [];
      this.older = page.next;
      this.upTo = Math.max(known, page.events[0]?.seq ?? 0);
      this.begun = true;
      this.farBehind = false;
      this.error = null;
    } catch (error) {
      this.fail(error, () => this.begin());
    }
    this.tell();
    await this.catchUp();
  }

  end(): void {
    this.ended.abort();
    window.clearTimeout(this.again);
  }

  /** Takes what was heard of the job; events that are known already are left out, missing ones are read. */
  hear(change: JobChange): void {
    const { createdAt } = change.job;
    if (this.createdAt && this.createdAt !== createdAt) {
      // The job was made anew, so nothing of what is shown is of it.
      this.known = change.lastSeq;
      this.begun = false;
      void this.begin();
    }
    this.createdAt = createdAt;
    this.known = Math.max(this.known, change.lastSeq);
    if (!this.begun || this.catching || this.farBehind) {
      this.tell();
      return;
    }
    const news = change.events.filter((event) => event.seq > this.upTo);
    if (news.length > 0 && news.length === change.lastSeq - this.upTo) {
      this.upTo = change.lastSeq;
      this.add(news.filter((event) => this.kinds.length === 0 || this.kinds.includes(event.event)));
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
    this.shown = [...this.waiting, ...this.shown];
    this.waiting = [];
    this.tell();
  }

  /** How many new events are not shown; `farBehind` says "at least". */
  get waitingCount(): number {
    return this.farBehind ? this.known - (this.shown[0]?.seq ?? 0) : this.waiting.length;
  }

  /** Reads a page of older ones. */
  async readOlder(): Promise<void> {
    if (this.older === null || this.loadingOlder) {
      return;
    }
    this.loadingOlder = true;
    this.tell();
    const before = this.older;
    try {
      const page = await this.read({ before, limit: PAGE });
      // What is shown may have begun anew meanwhile.
      if (this.older === before) {
        this.shown = [...this.shown, ...page.events];
        this.older = page.next;
        this.error = null;
      }
    } catch (error) {
      this.fail(error);
    }
    this.loadingOlder = false;
    this.tell();
  }

  private async catchUp(): Promise<void> {
    if (this.catching || !this.begun) {
      return;
    }
    this.catching = true;
    try {
      while (this.upTo < this.known) {
        if (this.known - this.upTo > MOST_BEHIND) {
          this.farBehind = true;
          break;
        }
        const known = this.known;
        const page = await this.read({
          after: this.upTo,
          limit: CATCH_UP_PAGE,
        });
        this.upTo = page.next ?? Math.max(known, page.events.at(-1)?.seq ?? 0);
        this.add(page.events);
      }
      this.error = null;
    } catch (error) {
      this.fail(error, () => this.catchUp());
    }
    this.catching = false;
    if (this.farBehind && !this.held()) {
      await this.begin();
    }
    this.tell();
  }

  private add(events: TimelineEvent[]): void {
    this.waiting = [...events.toReversed(), ...this.waiting];
    if (this.held()) {
      if (this.waiting.length > MOST_BEHIND) {
        this.waiting = [];
        this.farBehind = true;
      }
      return;
    }
    this.shown = [...this.waiting, ...this.shown];
    this.waiting = [];
    if (this.shown.length > MOST_SHOWN) {
      this.shown.length = MOST_SHOWN;
      this.older = this.shown.at(-1)?.seq ?? null;
    }
  }

  private read(parameters: Parameters): Promise<TimelinePage> {
    return get(jobPath(this.id, "timeline"), { ...parameters, event: this.kinds }, this.ended.signal);
  }

  private fail(error: unknown, again?: () => void): void {
    if (this.ended.signal.aborted) {
      return;
    }
    if (!(error instanceof ApiError)) {
      throw error;
    }
    this.error = error;
    // Away for a while, or busy: what is missing is asked for again by itself.
    if (again && (error.status === 0 || error.status >= 500)) {
      window.clearTimeout(this.again);
      this.again = window.setTimeout(again, AGAIN_MS);
    }
  }
}

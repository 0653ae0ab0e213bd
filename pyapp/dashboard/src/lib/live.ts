import { ApiError, get, type Parameters, query } from "./api";
import { noteServerTime } from "./clock";

/**
 * How a page hears of changes: `live` by a stream, `polling` by asking now and then, `stale` while nothing is heard of
 * the server, `connecting` until the first word.
 */
export type Liveness = "connecting" | "live" | "polling" | "stale";

type Handler = (data: never) => void;
/** What to do with messages of each kind. */
export type Handlers = Record<string, Handler>;

export interface Watch {
  close(): void;
}

interface Message {
  event: string;
  id: string | null;
  data: unknown;
}

const ADDRESS = "/events";
/** The server has something to say every 5 s, if only the time. */
const STALE_AFTER_MS = 12_000;
const POLL_MS = 2_000;
/** A page that gets no stream, but answers, asks for a stream again after so long. */
const STREAM_AGAIN_MS = 30_000;
/** A server that does not answer is tried after so long, then after twice that, and so on up to the most. */
const RETRY_MS = 500;
const MOST_RETRY_MS = 20_000;
/** Answers that are the same however often one asks. */
const FINAL: ReadonlySet<number> = new Set([400, 401, 403, 404]);
/** A page that nobody has looked at for so long lets go: a browser has six connections a server for all its tabs. */
const HIDDEN_MS = 15_000;

/** Not all pages at once: when a server comes back, everybody has been waiting for it. */
function spread(milliseconds: number): number {
  return milliseconds * (0.5 + Math.random());
}

/**
 * Watches something at the server until it is closed. Whatever breaks off is taken up again after the id of the last
 * message; where there is no stream to be had, the page asks every other second, likewise from that id on. Nothing is
 * watched while nobody looks at the page; it catches up when somebody does.
 *
 * @param parameters What to watch; see `/events` in docs/openapi.json.
 * @param handlers For each kind of message, what to do with its data.
 * @param tell Told how changes are heard of, whenever that changes.
 * @param after The id after which messages are wanted; null for what is now.
 */
export function watch(
  parameters: Parameters,
  handlers: Handlers,
  tell: (liveness: Liveness) => void,
  after: string | null = null,
): Watch {
  let lastId = after;
  let heardAt = Date.now();
  let liveness: Liveness = "connecting";
  // At any time there is at most one of these: a stream, a question under way, or a wait for either.
  let source: EventSource | null = null;
  let question: AbortController | null = null;
  let timer = 0;
  let failures = 0;
  let noStreamUntil = 0;
  let hiddenTimer = 0;
  let resting = false;
  let closed = false;

  function become(next: Liveness): void {
    if (next !== liveness && !closed) {
      liveness = next;
      tell(next);
    }
  }

  function heard(how: Liveness): void {
    heardAt = Date.now();
    failures = 0;
    become(how);
  }

  function take({ event, id, data }: Message): void {
    lastId = id || lastId;
    if (event === "beat") {
      noteServerTime((data as { at: string }).at);
    }
    handlers[event]?.(data as never);
  }

  function drop(): void {
    source?.close();
    question?.abort();
    window.clearTimeout(timer);
    source = question = null;
  }

  function go(next: () => void, milliseconds: number): void {
    drop();
    if (!closed && !resting) {
      timer = window.setTimeout(next, milliseconds);
    }
  }

  function begin(): void {
    drop();
    // Tabs that are opened in the background wait until they are looked at.
    resting = document.hidden;
    if (!resting) {
      heardAt = Date.now();
      stream();
    }
  }

  function stream(): void {
    drop();
    let told = false;
    const opened = new EventSource(ADDRESS + query({ ...parameters, after: lastId }));
    source = opened;
    const openedAt = Date.now();
    for (const event of new Set(["beat", ...Object.keys(handlers)])) {
      opened.addEventListener(event, (message: MessageEvent<string>) => {
        if (source === opened) {
          told = true;
          heard("live");
          take({
            event,
            id: message.lastEventId,
            data: JSON.parse(message.data),
          });
        }
      });
    }
    // The browser would try again by itself, at the same moment as all others, and not where it was refused.
    opened.onerror = () => {
      if (source === opened && told && Date.now() - openedAt > RETRY_MS) {
        go(stream, spread(RETRY_MS));
      } else if (source === opened) {
        // Why there is no stream is not told to scripts; an answer to a question is.
        noStreamUntil = Date.now() + spread(STREAM_AGAIN_MS);
        poll();
      }
    };
  }

  async function poll(): Promise<void> {
    drop();
    const asked = new AbortController();
    question = asked;
    try {
      const asking = get<{ messages: Message[] }>(ADDRESS, { ...parameters, after: lastId }, asked.signal);
      const { messages } = await asking;
      if (question !== asked) {
        return;
      }
      heard("polling");
      for (const message of messages) {
        take(message);
      }
      if (question === asked) {
        go(Date.now() < noStreamUntil ? poll : stream, spread(POLL_MS));
      }
    } catch (error) {
      if (question !== asked) {
        return;
      }
      if (error instanceof ApiError && FINAL.has(error.status)) {
        close();
        return;
      }
      // The server is away, or will not say: as soon as it is there again, a stream is to be had, too.
      failures += 1;
      if (failures > 1) {
        become("stale");
      }
      go(stream, spread(Math.min(RETRY_MS * 2 ** failures, MOST_RETRY_MS)));
    }
  }

  // A connection that was cut without a word is not noticed by the browser for minutes.
  const staleTimer = window.setInterval(() => {
    if (!resting && Date.now() - heardAt > STALE_AFTER_MS) {
      become("stale");
      if (source || question) {
        heardAt = Date.now() - STALE_AFTER_MS / 2;
        failures += 1;
        go(stream, spread(RETRY_MS));
      }
    }
  }, 1_000);

  function rest(): void {
    resting = true;
    drop();
  }

  function looked(): void {
    window.clearTimeout(hiddenTimer);
    if (document.hidden) {
      hiddenTimer = window.setTimeout(rest, HIDDEN_MS);
    } else if (resting) {
      become("connecting");
      begin();
    }
  }

  function shown(): void {
    // Out of the browser's memory of pages that were left.
    resting = true;
    looked();
  }

  function online(): void {
    if (!resting && liveness !== "live") {
      failures = 0;
      go(stream, 0);
    }
  }

  const ear = new AbortController();
  document.addEventListener("visibilitychange", looked, { signal: ear.signal });
  addEventListener("pagehide", rest, { signal: ear.signal });
  addEventListener("pageshow", (event) => event.persisted && shown(), {
    signal: ear.signal,
  });
  addEventListener("online", online, { signal: ear.signal });

  function close(): void {
    closed = true;
    ear.abort();
    drop();
    window.clearTimeout(hiddenTimer);
    window.clearInterval(staleTimer);
  }

  begin();
  return { close };
}

import { ApiError, get, type Parameters, query } from "./api";
import { noteServerTime } from "./clock";

/**
 * How a page hears of changes: `live` by a stream, `polling` by asking now and then, `stale` while nothing is heard of
 * the server, `connecting` until the first word, `refused` where the server will not tell.
 */
export type Liveness = "connecting" | "live" | "polling" | "stale" | "refused";

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
/** The server has something to say every 5 s, if only the time: what is silent for so long is not heard any more. */
const STALE_AFTER_MS = 12_000;
/** A stream that says nothing at all for so long is held back by something in between. */
const FIRST_WORD_MS = 5_500;
/** The server gives up a question before this. */
const ANSWER_MS = 20_000;
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

interface Streaming {
  is: "streaming";
  source: EventSource;
  /** Whether it has said anything yet. */
  told: boolean;
  /** When it last did, or else began. */
  since: number;
}

/** What is being done to hear of changes: always exactly one of these, and whoever goes on to another ends it. */
type State =
  | Streaming
  | { is: "asking"; question: AbortController; since: number }
  /** Until the next try. */
  | { is: "waiting"; timer: number }
  /** Nobody looks. */
  | { is: "resting" }
  /** The same answer would come however often one asks. */
  | { is: "refused" }
  | { is: "closed" };

function end(state: State): void {
  if (state.is === "streaming") {
    state.source.close();
  } else if (state.is === "asking") {
    state.question.abort();
  } else if (state.is === "waiting") {
    window.clearTimeout(state.timer);
  }
}

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
  let state: State = { is: "resting" };
  let liveness: Liveness = "connecting";
  let lastId = after;
  let heardAt = Date.now();
  /** Since something was heard. */
  let failures = 0;
  let noStreamUntil = 0;
  let hiddenTimer = 0;

  function enter<S extends State>(next: S): S {
    end(state);
    state = next;
    return next;
  }

  function become(next: Liveness): void {
    if (next !== liveness && state.is !== "closed") {
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

  function begin(): void {
    heardAt = Date.now();
    // Tabs that are opened in the background wait until they are looked at.
    if (document.hidden) {
      enter({ is: "resting" });
    } else {
      stream();
    }
  }

  function wait(next: () => void, milliseconds: number): void {
    enter({ is: "waiting", timer: window.setTimeout(next, milliseconds) });
  }

  function stream(): void {
    const source = new EventSource(ADDRESS + query({ ...parameters, after: lastId }));
    const openedAt = Date.now();
    const streaming = enter<Streaming>({ is: "streaming", source, told: false, since: openedAt });
    for (const event of new Set(["beat", ...Object.keys(handlers)])) {
      source.addEventListener(event, (message: MessageEvent<string>) => {
        if (state === streaming) {
          streaming.told = true;
          streaming.since = Date.now();
          heard("live");
          take({ event, id: message.lastEventId, data: JSON.parse(message.data) });
        }
      });
    }
    // The browser would try again by itself, at the same moment as all others, and not where it was refused.
    source.onerror = () => {
      if (state !== streaming) {
        return;
      }
      if (streaming.told && Date.now() - openedAt > RETRY_MS) {
        wait(stream, spread(RETRY_MS));
      } else {
        // Why there is no stream is not told to scripts; an answer to a question is.
        askInstead();
      }
    };
  }

  function askInstead(): void {
    noStreamUntil = Date.now() + spread(STREAM_AGAIN_MS);
    void ask();
  }

  async function ask(): Promise<void> {
    const question = new AbortController();
    const asking = enter({ is: "asking", question, since: Date.now() });
    // What `state` is after something was awaited, or a handler was called, only the moment can tell.
    const isOver = () => state !== asking;
    try {
      const asked = { ...parameters, after: lastId };
      const { messages } = await get<{ messages: Message[] }>(ADDRESS, asked, question.signal);
      if (isOver()) {
        return;
      }
      heard("polling");
      for (const message of messages) {
        take(message);
      }
      if (!isOver()) {
        wait(Date.now() < noStreamUntil ? ask : stream, spread(POLL_MS));
      }
    } catch (error) {
      if (isOver()) {
        return;
      }
      if (error instanceof ApiError && FINAL.has(error.status)) {
        enter({ is: "refused" });
        become("refused");
      } else {
        failed();
      }
    }
  }

  /** The server is away, or will not say: as soon as it is there again, a stream is to be had, too. */
  function failed(): void {
    failures += 1;
    if (failures > 1) {
      become("stale");
    }
    wait(stream, spread(Math.min(RETRY_MS * 2 ** failures, MOST_RETRY_MS)));
  }

  // A connection that was cut without a word is not noticed by the browser for minutes, and one through a proxy that
  // keeps a stream to itself never: a question gets through there, or tells that nothing does.
  function listen(): void {
    const now = Date.now();
    if (state.is === "resting" || state.is === "refused") {
      return;
    }
    if (now - heardAt > STALE_AFTER_MS) {
      become("stale");
    }
    if (state.is === "streaming" && now - state.since > (state.told ? STALE_AFTER_MS : FIRST_WORD_MS)) {
      askInstead();
    } else if (state.is === "asking" && now - state.since > ANSWER_MS) {
      failed();
    }
  }

  function rest(): void {
    enter({ is: "resting" });
  }

  function looked(): void {
    window.clearTimeout(hiddenTimer);
    if (document.hidden) {
      hiddenTimer = window.setTimeout(rest, HIDDEN_MS);
    } else if (state.is === "resting") {
      become("connecting");
      begin();
    }
  }

  /** Out of the browser's memory of pages that were left. */
  function shown(): void {
    rest();
    looked();
  }

  function online(): void {
    if (liveness !== "live" && state.is !== "resting" && state.is !== "refused") {
      failures = noStreamUntil = 0;
      wait(stream, 0);
    }
  }

  const ear = new AbortController();
  const { signal } = ear;
  document.addEventListener("visibilitychange", looked, { signal });
  addEventListener("pagehide", rest, { signal });
  addEventListener("pageshow", (event) => event.persisted && shown(), { signal });
  addEventListener("online", online, { signal });
  const listening = window.setInterval(listen, 500);

  function close(): void {
    ear.abort();
    window.clearInterval(listening);
    window.clearTimeout(hiddenTimer);
    enter({ is: "closed" });
  }

  begin();
  return { close };
}

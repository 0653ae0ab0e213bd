import { ApiError, get, type Parameters, query } from "./api";
import { noteServerTime } from "./clock";
import { type Slot, takeSlot } from "./slots";

/**
 * How a page learns of changes: `live` from a stream, `polling` by asking every two seconds. `stale`: the server does not
 * answer; `connecting`: it has not answered yet; `refused`: it refuses to answer.
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
/** The server sends something at least every 5 s; after this much silence the connection counts as lost. */
const STALE_AFTER_MS = 12_000;
/** A stream that has sent nothing for this long is probably buffered by a proxy. */
const FIRST_WORD_MS = 5_500;
/** The server answers or times out before this. */
const ANSWER_MS = 20_000;
const POLL_MS = 2_000;
/** A page that polls tries to get a stream again after this time. */
const STREAM_AGAIN_MS = 30_000;
/** The first pause before a server that does not answer is tried again; it doubles each time, up to the maximum. */
const RETRY_MS = 500;
const MOST_RETRY_MS = 20_000;
/** Statuses that would be the same if the request were repeated. */
const FINAL: ReadonlySet<number> = new Set([400, 401, 403, 404]);
/** A page that has been hidden for this long closes its connection, so that others can have a stream: see slots.ts. */
const HIDDEN_MS = 15_000;

interface Streaming {
  is: "streaming";
  source: EventSource;
  slot: Slot;
  /** Whether it has sent anything yet. */
  told: boolean;
  /** When it last did, or when it began. */
  since: number;
}

/** How changes are being read: always exactly one of these. Entering another state ends the current one. */
type State =
  | Streaming
  | { is: "asking"; question: AbortController; since: number }
  /** Until the next attempt. */
  | { is: "waiting"; timer: number }
  /** The page is hidden. */
  | { is: "resting" }
  /** The server would give the same answer again. */
  | { is: "refused" }
  | { is: "closed" };

function end(state: State): void {
  if (state.is === "streaming") {
    state.source.close();
    state.slot.release();
  } else if (state.is === "asking") {
    state.question.abort();
  } else if (state.is === "waiting") {
    window.clearTimeout(state.timer);
  }
}

/** Spreads requests over time, so that not all pages send theirs at once when a server comes back. */
function spread(milliseconds: number): number {
  return milliseconds * (0.5 + Math.random());
}

/**
 * Watches something at the server until it is closed. After an interruption it continues from the id of the last
 * message. If no stream is available, because the server or this browser has as many as it can have, it polls every two
 * seconds, also from that id, and takes the next stream that becomes free. While the page is hidden it watches
 * nothing, and it catches up when the page is shown.
 *
 * @param parameters What to watch; see `/events` in docs/openapi.json.
 * @param handlers For each kind of message, what to do with its data.
 * @param tell Called with the liveness, whenever that changes.
 * @param after The id after which messages are wanted; null for new ones only.
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
  /** When something was last received. */
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
    // Tabs that are opened in the background wait until they are shown.
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
    const slot = takeSlot();
    if (!slot) {
      void ask();
      return;
    }
    const source = new EventSource(ADDRESS + query({ ...parameters, after: lastId }));
    const openedAt = Date.now();
    const streaming = enter<Streaming>({ is: "streaming", source, slot, told: false, since: openedAt });
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
    // The browser would try again by itself, but at the same moment as all others, and not after a refusal.
    source.onerror = () => {
      if (state !== streaming) {
        return;
      }
      if (streaming.told && Date.now() - openedAt > RETRY_MS) {
        wait(stream, spread(RETRY_MS));
      } else {
        // Scripts cannot see why a stream failed; the answer to an ordinary request says it.
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
    // `state` may have changed while something was awaited or a handler was called.
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

  /** The server is away or does not answer: when it is back, a stream is tried first. */
  function failed(): void {
    failures += 1;
    if (failures > 1) {
      become("stale");
    }
    wait(stream, spread(Math.min(RETRY_MS * 2 ** failures, MOST_RETRY_MS)));
  }

  // A browser takes minutes to notice a connection that was cut silently, and never notices a proxy that buffers the
  // stream. An ordinary request gets through, or fails.
  function listen(): void {
    const now = Date.now();
    if (state.is === "resting" || state.is === "refused") {
      return;
    }
    if (now - heardAt > STALE_AFTER_MS) {
      become("stale");
    }
    if (state.is === "streaming" && !state.slot.keep()) {
      wait(stream, 0);
    } else if (state.is === "streaming" && now - state.since > (state.told ? STALE_AFTER_MS : FIRST_WORD_MS)) {
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

  /** The page was restored from the browser's back/forward cache. */
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

import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ApiError, get, type Parameters, query } from "./api";
import { eachSecond, serverNow } from "./clock";
import { type Handlers, type Liveness, watch } from "./live";

export interface Loaded<T> {
  /** The last data; kept while it is read again, and when that fails. */
  data: T | null;
  /** Why the last attempt to read failed. */
  error: ApiError | null;
  /** Whether something is being read. */
  loading: boolean;
  reload: () => void;
}

interface State<T> extends Omit<Loaded<T>, "reload"> {
  /** The request that `data` and `error` belong to. */
  asked: string | null;
}

/**
 * Reads from the API, and reads again whenever the path or the parameters change. With a number of seconds it also reads
 * again that long after the last answer, while the page is visible. A null path reads nothing.
 */
export function useLoaded<T>(path: string | null, parameters: Parameters = {}, everySeconds = 0): Loaded<T> {
  // Not the address itself, because a time in it changes all the while.
  const asked = path === null ? null : path + JSON.stringify(parameters);
  const [state, setState] = useState<State<T>>(() => nothing(asked));
  const [turn, setTurn] = useState(0);
  const reload = useCallback(() => setTurn((number) => number + 1), []);
  useEffect(() => {
    if (path === null) {
      return;
    }
    const controller = new AbortController();
    let timer = 0;
    let waiting = false;
    // An error stays until there is an answer, or it would flicker with each attempt.
    setState((before) => ({
      ...(before.asked === asked ? before : nothing<T>(asked)),
      loading: true,
    }));
    get<T>(path, parameters, controller.signal)
      .then((data) => {
        if (!controller.signal.aborted) {
          setState({ asked, data, error: null, loading: false });
        }
      })
      .catch((error) => {
        if (!controller.signal.aborted) {
          const told = error instanceof ApiError ? error : new ApiError(0, null);
          setState((before) => ({ ...before, error: told, loading: false }));
        }
      })
      .finally(() => {
        if (everySeconds && !controller.signal.aborted) {
          timer = window.setTimeout(again, everySeconds * 1000);
        }
      });
    function again() {
      waiting = document.hidden;
      if (!waiting) {
        reload();
      }
    }
    const shown = () => waiting && again();
    document.addEventListener("visibilitychange", shown);
    return () => {
      controller.abort();
      window.clearTimeout(timer);
      document.removeEventListener("visibilitychange", shown);
    };
  }, [asked, turn, everySeconds]);
  // Data of another request is never shown for this one, not even once.
  const { data, error, loading } = state.asked === asked ? state : nothing<T>(asked);
  return { data, error, loading, reload };
}

function nothing<T>(asked: string | null): State<T> {
  return { asked, data: null, error: null, loading: asked !== null };
}

/**
 * Watches something while the component is mounted. Handlers may change between renders, but the set of kinds may not.
 * The watch is opened again when `parameters` change. Null watches nothing.
 */
export function useLive(parameters: Parameters | null, handlers: Handlers, after: string | null = null): Liveness {
  const [liveness, setLiveness] = useState<Liveness>("connecting");
  const current = useRef(handlers);
  current.current = handlers;
  const watched = parameters && query(parameters);
  // Before anything else, so that messages about one thing never reach the handlers for the next.
  useLayoutEffect(() => {
    setLiveness("connecting");
    if (!parameters) {
      return;
    }
    const relay: Handlers = {};
    for (const kind of Object.keys(handlers)) {
      relay[kind] = (data) => current.current[kind]?.(data);
    }
    const watching = watch(parameters, relay, setLiveness, after);
    return () => watching.close();
  }, [watched]);
  return liveness;
}

/** The server's time in milliseconds, updated every so many seconds, for texts such as "2 min ago". */
export function useNow(everySeconds = 1): number {
  const step = everySeconds * 1000;
  return useTold(() => Math.floor(serverNow() / step) * step);
}

/** A value that changes with time, computed every second; the component is drawn again only if it has changed. */
export function useTold<T extends string | number>(look: () => T): T {
  const [, setTold] = useState<T>(look);
  const current = useRef(look);
  current.current = look;
  useEffect(() => eachSecond(() => setTold(current.current())), []);
  return look();
}

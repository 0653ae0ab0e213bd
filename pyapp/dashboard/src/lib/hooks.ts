import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ApiError, get, type Parameters, query } from "./api";
import { eachSecond, serverNow } from "./clock";
import { type Handlers, type Liveness, watch } from "./live";

export interface Loaded<T> {
  /** What was read last, also while it is read again and after that failed. */
  data: T | null;
  /** Why it could not be read when it was last tried. */
  error: ApiError | null;
  /** Whether something is being read. */
  loading: boolean;
  reload: () => void;
}

interface State<T> extends Omit<Loaded<T>, "reload"> {
  /** What `data` and `error` belong to. */
  asked: string | null;
}

/**
 * Reads something of the API, again whenever path or parameters change, and so many seconds after the last answer if
 * that is given, unless nobody looks at the page. A null path reads nothing.
 */
export function useLoaded<T>(path: string | null, parameters: Parameters = {}, everySeconds = 0): Loaded<T> {
  // Not the address itself, which also changes by the time that stands in it.
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
    // An error stays until there is an answer, or it would flicker with each try.
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
  // What belongs to another question is not shown under this one, not even once.
  const { data, error, loading } = state.asked === asked ? state : nothing<T>(asked);
  return { data, error, loading, reload };
}

function nothing<T>(asked: string | null): State<T> {
  return { asked, data: null, error: null, loading: asked !== null };
}

/**
 * Watches something as long as the component is there. Handlers may change from one drawing to the next, but not which
 * kinds there are; what is watched is opened anew when `parameters` do. Null watches nothing.
 */
export function useLive(parameters: Parameters | null, handlers: Handlers, after: string | null = null): Liveness {
  const [liveness, setLiveness] = useState<Liveness>("connecting");
  const current = useRef(handlers);
  current.current = handlers;
  const watched = parameters && query(parameters);
  // Before anything else happens, so that what is heard of one thing does not reach the handlers for the next.
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

/** The server's time in milliseconds, told anew every so many seconds, for what is so long ago. */
export function useNow(everySeconds = 1): number {
  const step = everySeconds * 1000;
  return useTold(() => Math.floor(serverNow() / step) * step);
}

/** Something that changes with time, looked at each second; the component is drawn again only where it did change. */
export function useTold<T extends string | number>(look: () => T): T {
  const [, setTold] = useState<T>(look);
  const current = useRef(look);
  current.current = look;
  useEffect(() => eachSecond(() => setTold(current.current())), []);
  return look();
}

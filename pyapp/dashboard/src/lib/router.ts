import { useEffect, useState } from "preact/hooks";

/** Page state that should survive a reload, or be sent to a colleague, is kept in the address and nowhere else. */
const listeners = new Set<() => void>();

export interface Place {
  path: string;
  parameters: URLSearchParams;
}

let current = read();

function read(): Place {
  return {
    path: location.pathname,
    parameters: new URLSearchParams(location.search),
  };
}

function changed(): void {
  current = read();
  for (const update of [...listeners]) {
    update();
  }
}

/** The address as it is now; the component is drawn again when it changes. */
export function usePlace(): Place {
  const [place, setPlace] = useState(current);
  useEffect(() => {
    const update = () => setPlace(current);
    listeners.add(update);
    // It may have changed since the component was drawn.
    update();
    return () => {
      listeners.delete(update);
    };
  }, []);
  return place;
}

/** Goes to another address of the dashboard without reloading the page. */
export function navigate(address: string, replace = false): void {
  history[replace ? "replaceState" : "pushState"](null, "", address);
  changed();
}

/** Changes parameters of the address; empty ones are removed. */
export function setParameters(changes: Record<string, string | null>, replace = false): void {
  navigate(withParameters(changes), replace);
}

/** The current address with some parameters changed; empty ones are left out. */
export function withParameters(changes: Record<string, string | null>): string {
  const { path, parameters } = read();
  for (const [name, value] of Object.entries(changes)) {
    if (value) {
      parameters.set(name, value);
    } else {
      parameters.delete(name);
    }
  }
  const text = parameters.toString();
  return path + (text && `?${text}`);
}

/** The address of a job's page. */
export function jobAddress(id: string): string {
  return `/job?id=${encodeURIComponent(id)}`;
}

/**
 * Follows the links of the dashboard without a reload, so that watched data need not be loaded again. Like any link they
 * lead to the top of the page, except those inside an element with `data-stay`.
 */
export function followLinks(paths: ReadonlySet<string>): void {
  addEventListener("popstate", changed);
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (!link || !plain || event.defaultPrevented || link.origin !== location.origin || link.target || link.hash) {
      return;
    }
    if (paths.has(link.pathname) && !link.hasAttribute("download")) {
      event.preventDefault();
      const address = link.pathname + link.search;
      navigate(address, address === location.pathname + location.search);
      if (!link.closest("[data-stay]")) {
        scrollTo(0, 0);
      }
    }
  });
}

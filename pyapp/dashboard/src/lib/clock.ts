/** The server's time. All times are by its clock; the clock of the viewer's device may be minutes off. */

let aheadMs = 0;

/** Records the current time of the server's clock. */
export function noteServerTime(at: string | null): void {
  const ahead = at ? Date.parse(at) - Date.now() : Number.NaN;
  if (!Number.isNaN(ahead)) {
    // Headers have whole seconds, and answers take time, so a small difference is not a difference between clocks.
    aheadMs = Math.abs(ahead) < 3_000 ? 0 : ahead;
  }
}

/** Milliseconds since 1970 by the server's clock. */
export function serverNow(): number {
  return Date.now() + aheadMs;
}

const tickers = new Set<() => void>();
let timer = 0;

/**
 * Calls something every second while the page is visible: one timer for all times that are shown.
 *
 * @returns A function that ends it.
 */
export function eachSecond(tick: () => void): () => void {
  tickers.add(tick);
  timer ||= window.setInterval(tickAll, 1_000);
  return () => {
    tickers.delete(tick);
    if (tickers.size === 0) {
      window.clearInterval(timer);
      timer = 0;
    }
  };
}

function tickAll(): void {
  if (!document.hidden) {
    for (const tick of [...tickers]) {
      tick();
    }
  }
}

document.addEventListener("visibilitychange", tickAll);

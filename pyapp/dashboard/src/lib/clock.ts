/** The server's time. All instants are told by its clock, and that of the viewer's device may be minutes off. */

let aheadMs = 0;

/** Takes note of what the server's clock says at this moment. */
export function noteServerTime(at: string | null): void {
  const ahead = at ? Date.parse(at) - Date.now() : Number.NaN;
  if (!Number.isNaN(ahead)) {
    // Headers have whole seconds, and answers take a moment: less than that is no difference between clocks.
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
 * Calls something each second while somebody looks at the page: one timer, however many show a time.
 *
 * @returns What ends it.
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

// A browser has six connections to a server for all its windows, and a stream takes one for as long as it is open. So
// only some windows may have a stream at a time; the others ask every few seconds, and connections are left for that and
// for opening pages. The windows agree by entries in the browser's storage. The Web Locks API would do this, too, but
// only over TLS.

/** How many windows of a browser have a stream at most. */
const MOST_STREAMS = 3;
/** A slot is free again after this time if its window has crashed. */
const LEASE_MS = 6_000;
const PREFIX = "tallymark-stream-";

/** The right to have a stream. */
export interface Slot {
  /** Prolongs it. Returns false if another window has it, because both took it at the same moment or this one slept. */
  keep(): boolean;
  release(): void;
}

interface Lease {
  owner: string;
  until: number;
}

/** Takes a free slot; null if there is none. */
export function takeSlot(): Slot | null {
  const owner = `${Date.now()}-${Math.random()}`;
  for (let number = 0; number < MOST_STREAMS; number++) {
    const name = PREFIX + number;
    const lease = read(name);
    if (!lease || !isValid(lease)) {
      write(name, owner);
      return {
        keep() {
          const found = read(name);
          if (found && found.owner !== owner && isValid(found)) {
            return false;
          }
          if (found?.owner !== owner || found.until - Date.now() < LEASE_MS / 2) {
            write(name, owner);
          }
          return true;
        },
        release() {
          if (read(name)?.owner === owner) {
            forget(name);
          }
        },
      };
    }
  }
  return null;
}

/** A time that is too far ahead was written before the clock was set back. */
function isValid({ until }: Lease): boolean {
  const left = until - Date.now();
  return left > 0 && left <= LEASE_MS;
}

// Where nothing may be stored, every window has a stream.

function read(name: string): Lease | null {
  try {
    const { owner, until } = JSON.parse(localStorage.getItem(name) ?? "null");
    return { owner: String(owner), until: Number(until) };
  } catch {
    return null;
  }
}

function write(name: string, owner: string): void {
  try {
    localStorage.setItem(name, JSON.stringify({ owner, until: Date.now() + LEASE_MS }));
  } catch {
    // As above.
  }
}

function forget(name: string): void {
  try {
    localStorage.removeItem(name);
  } catch {
    // As above.
  }
}

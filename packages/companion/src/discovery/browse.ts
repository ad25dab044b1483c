import { CryptoError } from "@lango/crypto-core";
import { openLinks } from "./links.ts";
import { SERVICE } from "./records.ts";
import { type CompanionAddress, type CompanionEvent, createSightings } from "./sightings.ts";

export interface BrowseOptions {
  /** Milliseconds after which it ends. Default: none. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Only on this network interface. Default: on all but the loopback one. */
  readonly interface?: string | undefined;
}

/** RFC 6762 §5.2: asked again after a second, then after twice as long each time, at most a minute. */
const FIRST_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 60_000;
/** What is missing about a companion is asked for at once, but not for each packet of a flood. */
const MIN_GAP_MS = 250;
/** How often it is looked who is gone. */
const EXPIRY_MS = 250;

/**
 * Looks for companions on the local network by multicast DNS (RFC 6762, RFC 6763), over IPv4 and IPv6, until the loop is left
 * or the time is over. Discovery only proposes: whom to trust is decided by pairing, at the connection. Experimental.
 *
 * At most 64 companions are kept in mind, the latest; one that falls out is told as gone.
 *
 * @throws `signal.reason` when the signal aborts.
 */
export async function* browseCompanions(
  options: BrowseOptions = {},
): AsyncGenerator<CompanionEvent> {
  const { signal, timeoutMs } = options;
  signal?.throwIfAborted();
  const sightings = createSightings();
  const waiting = createQueue();
  let askedAt = Number.NEGATIVE_INFINITY;
  const links = openLinks({
    interface: options.interface,
    onLink: (link) => link.ask([{ name: SERVICE, type: "PTR" }]),
    onPacket(packet, link) {
      waiting.push(sightings.take(packet, link.name));
      const missing = sightings.missing();
      if (missing.length === 0 || performance.now() - askedAt < MIN_GAP_MS) return;
      askedAt = performance.now();
      link.ask(missing.slice(0, MAX_QUESTIONS));
    },
  });

  let pauseMs = FIRST_PAUSE_MS;
  const askAgain = (): void => {
    const questions = [{ name: SERVICE, type: "PTR" } as const, ...sightings.missing()];
    for (const link of links.all) link.ask(questions.slice(0, MAX_QUESTIONS));
    pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS);
    timer = setTimeout(askAgain, pauseMs);
  };
  let timer = setTimeout(askAgain, pauseMs);
  const expiry = setInterval(() => waiting.push(sightings.expire()), EXPIRY_MS);
  const end = timeoutMs === undefined ? undefined : setTimeout(waiting.end, timeoutMs);
  signal?.addEventListener("abort", waiting.end, { once: true });
  try {
    for (;;) {
      const event = await waiting.next();
      signal?.throwIfAborted();
      if (event === undefined) return;
      yield event;
    }
  } finally {
    clearTimeout(timer);
    clearInterval(expiry);
    clearTimeout(end);
    signal?.removeEventListener("abort", waiting.end);
    await links.close();
  }
}

/** They fit into a packet of 1500 bytes, whatever the names are. */
const MAX_QUESTIONS = 5;

interface Queue {
  push(events: readonly CompanionEvent[]): void;
  /** The next event; `undefined` when it was ended. */
  next(): Promise<CompanionEvent | undefined>;
  end(): void;
}

/** Events until they are read. One for each companion: however slow the reader, they cannot pile up. */
function createQueue(): Queue {
  const events = new Map<string, CompanionEvent>();
  const told = new Set<string>();
  let ended = false;
  let wake = (): void => {};
  return {
    push(more) {
      for (const event of more) {
        const key = event.companion.name;
        events.delete(key);
        // A reader who never heard of it has no use for its end.
        if (event.type === "found" || told.has(key)) events.set(key, event);
      }
      wake();
    },
    async next() {
      for (;;) {
        const [first] = events;
        if (ended) return undefined;
        if (first !== undefined) {
          const [key, event] = first;
          events.delete(key);
          if (event.type === "found") told.add(key);
          else told.delete(key);
          return event;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    end() {
      ended = true;
      wake();
    },
  };
}

export interface FindOptions extends BrowseOptions {
  /** Whether that pin is of a paired companion. */
  readonly isPaired: (fingerprint: string) => boolean | Promise<boolean>;
  /** Milliseconds. Default: 3,000. */
  readonly timeoutMs?: number | undefined;
}

const FIND_MS = 3000;

/**
 * The first companion on the local network that says that it has the pin of a paired one. Experimental.
 *
 * @throws {@link CryptoError} `ERR_UNAVAILABLE` (retryable) when none was found in time.
 */
export const findCompanion = async (options: FindOptions): Promise<CompanionAddress> => {
  const { isPaired, timeoutMs = FIND_MS, ...rest } = options;
  let strangers = 0;
  for await (const { type, companion } of browseCompanions({ ...rest, timeoutMs })) {
    if (type === "gone") continue;
    const { fingerprint } = companion;
    if (fingerprint !== undefined && (await isPaired(fingerprint))) return companion;
    strangers++;
  }
  const found = strangers === 0 ? "No companion" : "No paired companion";
  const message = `${found} was found on the local network within ${timeoutMs} ms`;
  const hint = "Start the companion, or set security.signer.rpcUrl to its address";
  throw new CryptoError("ERR_UNAVAILABLE", message, { context: { hint } });
};

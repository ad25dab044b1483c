import type { Channel } from "@lango/companion";
import { CryptoError, isCryptoError, raceSignal } from "@lango/crypto-core";
import { NAME } from "./errors.ts";

/** The way to one companion. */
export interface Link {
  /**
   * An open channel. Never waits for a companion that is not there.
   *
   * @throws CryptoError `ERR_UNAVAILABLE`, `ERR_TIMEOUT`, `ERR_ACCESS_DENIED` and what else a connection may fail with.
   */
  channel(signal?: AbortSignal): Promise<Channel>;
  /** Gives up what belongs to the link. May be called again. */
  close(): Promise<void>;
}

export interface ReconnectingLinkOptions {
  /** Makes one connection; the signal aborts when the link is closed. */
  readonly connect: (signal: AbortSignal) => Promise<Channel>;
  /** Milliseconds that never go back. Default: `performance.now`. */
  readonly clock?: (() => number) | undefined;
  /** From 0 up to, but not, 1. Default: `Math.random`; jitter needs no secret randomness. */
  readonly random?: (() => number) | undefined;
}

const BASE_STEP_MS = 100;
const MAX_STEP_MS = 30_000;
/** A connection that ends sooner counts as a failed one: something there takes and drops them. */
const MIN_LIFE_MS = 1000;

/**
 * A link that connects when it is first needed, keeps the connection, and connects again at the first call after it broke.
 * There are no attempts in the background. After each failure a step begins, of a random length below a bound that doubles
 * from 100 ms to 30 s ("full jitter"): calls within it fail at once with the error of that failure. Calls that come together
 * share one attempt; an abort by one of them does not end it for the others.
 */
export const createReconnectingLink = ({
  connect,
  clock = () => performance.now(),
  random = Math.random,
}: ReconnectingLinkOptions): Link => {
  const closing = new AbortController();
  let current: Channel | undefined;
  let attempt: Promise<Channel> | undefined;
  let failures = 0;
  let nextAttemptAt = 0;
  let lastFailure: unknown;

  const holdOff = (error: unknown): void => {
    lastFailure = error;
    nextAttemptAt = clock() + random() * Math.min(MAX_STEP_MS, BASE_STEP_MS * 2 ** failures);
    failures++;
  };

  const dial = async (): Promise<Channel> => {
    let channel: Channel;
    try {
      channel = await connect(closing.signal);
    } catch (error) {
      holdOff(error);
      throw error;
    }
    if (closing.signal.aborted) {
      await channel.close();
      throw closing.signal.reason;
    }
    current = channel;
    const openedAt = clock();
    channel.closed.then((reason) => {
      if (current === channel) current = undefined;
      if (clock() - openedAt >= MIN_LIFE_MS) failures = 0;
      else holdOff(new CryptoError("ERR_UNAVAILABLE", `The companion hung up: ${reason}`));
    });
    return channel;
  };

  return {
    channel: async (signal) => {
      closing.signal.throwIfAborted();
      if (current !== undefined) return current;
      if (attempt === undefined) {
        if (clock() < nextAttemptAt) throw notTriedAgain(lastFailure);
        attempt = dial().finally(() => {
          attempt = undefined;
        });
      }
      const shared = attempt;
      return await raceSignal(signal, () => shared);
    },
    close: async () => {
      closing.abort(new CryptoError("ERR_CLOSED", "The link to the companion is closed"));
      await Promise.allSettled([attempt, current?.close()]);
    },
  };
};

/** The last failure again, as an error of its own: callers add to what they get. */
const notTriedAgain = (failure: unknown): unknown => {
  if (!isCryptoError(failure)) return failure;
  const { code, message, context, retryable } = failure;
  return new CryptoError(code, `${message}; not tried again yet`, {
    context,
    retryable,
    cause: failure,
  });
};

/** What the link needs of a `ChannelListener`. */
export interface ChannelSource {
  readonly channels: readonly Channel[];
}

export interface DialInLinkOptions {
  /** A `ChannelListener` of `@lango/companion` in the role of the agent; it stays the caller's, who closes it. */
  readonly listener: ChannelSource;
  /** The id of the companion that is meant. Default: the first that is there, and from then on that one. */
  readonly peerId?: string | undefined;
}

/** A link to a companion that dials in: its channel while it is there, `ERR_UNAVAILABLE` at once while it is not. */
export const createDialInLink = ({ listener, peerId }: DialInLinkOptions): Link => {
  let meant = peerId;
  return {
    channel: async (signal) => {
      signal?.throwIfAborted();
      const channel = listener.channels.find(
        ({ peer }) => meant === undefined || peer.id === meant,
      );
      if (channel === undefined) throw nobodyThere();
      meant = channel.peer.id;
      return channel;
    },
    close: async () => undefined,
  };
};

const nobodyThere = (): CryptoError =>
  new CryptoError("ERR_UNAVAILABLE", "No companion is connected", {
    context: { provider: NAME, hint: "Open the companion, and let it connect" },
  });

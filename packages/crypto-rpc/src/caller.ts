import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import type { Channel, MethodName, Params, Result } from "@lango/companion";
import {
  type CallOptions,
  isCryptoError,
  isUnavailable,
  randomBytesFresh,
  toBase64Url,
} from "@lango/crypto-core";
import { fail, inScope, type Scope } from "./errors.ts";
import type { Link } from "./link.ts";

export interface CallerOptions {
  readonly link: Link;
  readonly timeoutMs: number;
  readonly approvalTimeoutMs: number;
  /** The id of the companion that is meant. Default: the first that is asked. */
  readonly peerId?: string | undefined;
  /** From 0 up to, but not, 1. */
  readonly random: () => number;
}

/** Sends requests to the companion. */
export interface Caller {
  /** For what is answered without a request: rejects as a request would after `close` and after an abort. */
  enter(scope: Scope, options: CallOptions): Promise<void>;
  call<M extends MethodName>(
    method: M,
    params: Params<M>,
    scope: Scope,
    options: CallOptions,
  ): Promise<Result<M>>;
  close(): Promise<void>;
}

/** 128 bits: nobody guesses one, and no two are the same. */
const ID_BYTES = 16;
/** Attempts after a connection broke under a request. */
const RETRIES = 3;
const BASE_PAUSE_MS = 100;
/** The longest time that the protocol knows. */
const MAX_TIMEOUT_MS = 600_000;

/**
 * A caller that repeats a request whose connection broke before its answer came: at most three times, within its time, after
 * pauses of full jitter. Every attempt carries the id of the first, and under one id a companion gives out one result of
 * `sign` or `mac`; the other methods may run twice without harm. Whatever the companion answered is final, and so is a
 * connection that could not be made for a request that was never sent.
 */
export const createCaller = (options: CallerOptions): Caller => {
  const { link, timeoutMs, approvalTimeoutMs, random } = options;
  let meant = options.peerId;
  let closing: Promise<void> | undefined;
  /** Whether the companion's last word was that it does not take this device any more. */
  let isRefused = false;
  const inFlight = new Set<Promise<unknown>>();

  // A companion gives strangers nothing, not even a reason: to one that was revoked it looks as if nobody were there.
  const connect = async (signal: AbortSignal | undefined, scope: Scope): Promise<Channel> => {
    try {
      const channel = await link.channel(signal);
      isRefused = false;
      return channel;
    } catch (error) {
      if (!isRefused || !isUnavailable(error)) throw error;
      const hint = "Pair the devices again, if the companion's owner agrees";
      throw fail("ERR_ACCESS_DENIED", "The companion does not take this device", scope, hint);
    }
  };

  const call = async <M extends MethodName>(
    method: M,
    params: Params<M>,
    scope: Scope,
    { signal, timeoutMs: asked = timeoutMs }: CallOptions,
  ): Promise<Result<M>> => {
    const id = toBase64Url(randomBytesFresh(ID_BYTES));
    const endsAt = performance.now() + asked;
    const left = (): number =>
      Math.min(MAX_TIMEOUT_MS, Math.max(1, Math.ceil(endsAt - performance.now())));
    let sent = false;
    for (let attempt = 0; ; attempt++) {
      let channel: Channel | undefined;
      try {
        channel = await connect(signal, scope);
        meant = checkPeer(meant, channel, scope);
        sent = true;
        const rest = { id, signal, timeoutMs: left(), approvalTimeoutMs };
        return await channel.call(method, params, rest);
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        const broken = channel === undefined ? sent : await isClosed(channel);
        if (broken && isCryptoError(error) && error.code === "ERR_ACCESS_DENIED") isRefused = true;
        if (!broken || !mayPass(error) || attempt === RETRIES) throw inScope(error, scope);
        const pause = random() * BASE_PAUSE_MS * 2 ** attempt;
        if (pause >= left()) throw inScope(error, scope);
        await sleep(pause, undefined, { signal }).catch(() => signal?.throwIfAborted());
      }
    }
  };

  const check = (scope: Scope, { signal }: CallOptions): void => {
    signal?.throwIfAborted();
    if (closing !== undefined) throw fail("ERR_CLOSED", "The provider is closed", scope);
  };

  return {
    enter: async (scope, request) => {
      check(scope, request);
      // An abort in the turn of the call counts.
      await null;
      check(scope, request);
    },
    call: async (method, params, scope, request) => {
      check(scope, request);
      const running = call(method, params, scope, request);
      inFlight.add(running);
      try {
        return await running;
      } finally {
        inFlight.delete(running);
      }
    },
    // Calls in flight end as they would have.
    close: () => {
      closing ??= Promise.allSettled(inFlight).then(() => link.close());
      return closing;
    },
  };
};

/**
 * The companion of the first request is that of all: keys of the same name on another device are other keys, and what is to
 * be encrypted for the one is none of the other's business.
 */
const checkPeer = (meant: string | undefined, { peer }: Channel, scope: Scope): string => {
  if (meant === undefined || meant === peer.id) return peer.id;
  const message = `Another companion is connected: "${peer.name}"`;
  throw fail("ERR_ACCESS_DENIED", message, scope, "Name the one that is meant: peerId");
};

/** Not time that ran out: nothing is left of it for another attempt. */
const mayPass = (error: unknown): boolean =>
  isCryptoError(error) && error.code === "ERR_UNAVAILABLE";

/** Whether a channel is gone, asked in the turn after one of its calls failed. */
const isClosed = ({ closed }: Channel): Promise<boolean> =>
  Promise.race([closed.then(() => true), nextTurn(false)]);

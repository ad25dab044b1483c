import { CryptoError } from "@lango/crypto-core";
import { type Frame, isRequestId, MAX_TTL_MS, newRequestId, type Wire } from "../protocol/frame.ts";
import { fault } from "../protocol/json.ts";
import type { MethodName, Params, Result } from "../protocol/methods.ts";
import { schemas } from "../protocol/schemas.ts";
import { fromWireError, type WireError } from "../protocol/wire-error.ts";
import type { ChannelLimits } from "./options.ts";
import type { ChannelCallOptions } from "./types.ts";

const TIMEOUT_MS = 30_000;
const APPROVAL_TIMEOUT_MS = 120_000;
/** How many requests that were given up are remembered, as a multiple of those that may be in flight. */
const FORGOTTEN_FACTOR = 4;

export interface Caller {
  call<M extends MethodName>(
    method: M,
    params: Params<M>,
    options?: ChannelCallOptions,
  ): Promise<Result<M>>;
  onResult(id: string, result: Wire): void;
  onFailure(id: string | null, error: WireError): void;
  onWaiting(id: string): void;
  /** Rejects whatever is in flight. */
  end(error: CryptoError): void;
}

export interface CallerOptions {
  readonly limits: ChannelLimits;
  /** Rejects when the device may not be asked any more. */
  readonly checkPin: () => Promise<void>;
  readonly send: (frame: Frame) => void;
  readonly isFull: () => boolean;
}

interface Pending {
  readonly method: MethodName;
  readonly approvalTimeoutMs: number;
  readonly resolve: (result: Result<MethodName>) => void;
  readonly reject: (reason: unknown) => void;
  readonly signal: AbortSignal | undefined;
  readonly onAbort: () => void;
  /** Whether the other side has heard of it. */
  sent: boolean;
  /** Runs out for the transport at first, for the person once one was asked. */
  deadline: NodeJS.Timeout;
  /** Runs out when heartbeats stay away. */
  heartbeat?: NodeJS.Timeout;
}

/** The side that asks. Every request is answered once and in any order; what is given up here is still answered there. */
export const createCaller = ({ limits, checkPin, send, isFull }: CallerOptions): Caller => {
  const pending = new Map<string, Pending>();
  const forgotten = createForgotten(limits.requests * FORGOTTEN_FACTOR);
  let ended: CryptoError | undefined;

  /** Takes a request out of flight, however it ended. */
  const remove = (id: string): Pending | undefined => {
    const request = pending.get(id);
    if (request === undefined) return undefined;
    pending.delete(id);
    clearTimeout(request.deadline);
    clearTimeout(request.heartbeat);
    request.signal?.removeEventListener("abort", request.onAbort);
    return request;
  };

  const giveUp = (id: string, reason: unknown): void => {
    const request = remove(id);
    if (request === undefined) return;
    if (request.sent) {
      forgotten.add(id);
      send({ kind: "cancel", id });
    }
    request.reject(reason);
  };

  /** Takes the request that an answer is for; `undefined` when it was given up meanwhile. */
  const answered = (id: string): Pending | undefined => {
    if (forgotten.take(id)) return undefined;
    if (pending.get(id)?.sent !== true) throw fault("an answer to no request of this channel");
    return remove(id);
  };

  const start = async (id: string, request: Pending, frame: Frame): Promise<void> => {
    try {
      await checkPin();
      // Given up meanwhile.
      if (pending.get(id) !== request) return;
      send(frame);
      request.sent = true;
    } catch (error) {
      if (pending.get(id) === request) remove(id)?.reject(error);
    }
  };

  return {
    call(method, params, options = {}) {
      const { id = newRequestId(), signal, timeoutMs = TIMEOUT_MS } = options;
      const { approvalTimeoutMs = APPROVAL_TIMEOUT_MS } = options;
      return new Promise((resolve, reject) => {
        if (ended) throw ended;
        signal?.throwIfAborted();
        checkTime("timeoutMs", timeoutMs);
        checkTime("approvalTimeoutMs", approvalTimeoutMs);
        if (!isRequestId(id)) {
          throw new CryptoError("ERR_INVALID_ARGUMENT", "A request id is 128 bits in base64url");
        }
        const encoded = schemas[method].params.safeEncode(params);
        if (!encoded.success) {
          // The issues may quote values.
          throw new CryptoError("ERR_INVALID_ARGUMENT", `Not the params of ${method}`);
        }
        if (pending.has(id)) {
          throw new CryptoError("ERR_CONFLICT", "A request of this id is in flight");
        }
        if (pending.size >= limits.requests || isFull()) {
          throw new CryptoError(
            "ERR_RATE_LIMITED",
            `${pending.size} requests wait for the companion, which is as many as it takes`,
          );
        }
        const onAbort = (): void => giveUp(id, signal?.reason);
        const request: Pending = {
          method,
          approvalTimeoutMs,
          resolve: resolve as Pending["resolve"],
          reject,
          signal,
          onAbort,
          sent: false,
          deadline: setTimeout(() => giveUp(id, timedOut(method, timeoutMs)), timeoutMs),
        };
        pending.set(id, request);
        signal?.addEventListener("abort", onAbort, { once: true });
        const frame = {
          kind: "request",
          id,
          method,
          params: encoded.data,
          ttl: timeoutMs,
        } as const;
        void start(id, request, frame);
      });
    },
    onResult(id, result) {
      const request = answered(id);
      if (request === undefined) return;
      const decoded = schemas[request.method].result.safeDecode(result);
      if (decoded.success) return request.resolve(decoded.data);
      const error = fault(`its answer is no result of ${request.method}`);
      request.reject(error);
      throw error;
    },
    onFailure(id, error) {
      if (id === null) throw fault("it could not read a frame of ours");
      answered(id)?.reject(fromWireError(error));
    },
    onWaiting(id) {
      if (forgotten.has(id)) return;
      const request = pending.get(id);
      if (request?.sent !== true) throw fault("a heartbeat of no request of this channel");
      if (request.heartbeat === undefined) {
        clearTimeout(request.deadline);
        const ms = request.approvalTimeoutMs;
        request.deadline = setTimeout(() => giveUp(id, nobodyDecided(ms)), ms);
      }
      clearTimeout(request.heartbeat);
      request.heartbeat = setTimeout(() => giveUp(id, heartbeatLost()), limits.heartbeatLossMs);
    },
    end(error) {
      ended = error;
      for (const id of [...pending.keys()]) remove(id)?.reject(error);
    },
  };
};

/** Ids of requests that were given up and whose answers may still come: each as often as it was. */
const createForgotten = (max: number) => {
  const counts = new Map<string, number>();
  return {
    has: (id: string): boolean => counts.has(id),
    add(id: string): void {
      counts.set(id, (counts.get(id) ?? 0) + 1);
      const [oldest] = counts.keys();
      if (counts.size > max && oldest !== undefined) counts.delete(oldest);
    },
    take(id: string): boolean {
      const count = counts.get(id);
      if (count === undefined) return false;
      if (count === 1) counts.delete(id);
      else counts.set(id, count - 1);
      return true;
    },
  };
};

const checkTime = (name: string, ms: number): void => {
  if (Number.isInteger(ms) && ms >= 1 && ms <= MAX_TTL_MS) return;
  throw new CryptoError("ERR_INVALID_ARGUMENT", `${name} is ${ms}, not 1 to ${MAX_TTL_MS}`);
};

const timedOut = (method: string, ms: number): CryptoError =>
  new CryptoError("ERR_TIMEOUT", `The companion did not answer ${method} within ${ms} ms`);

const nobodyDecided = (ms: number): CryptoError =>
  new CryptoError("ERR_APPROVAL_TIMEOUT", `Nobody decided at the companion within ${ms} ms`);

const heartbeatLost = (): CryptoError =>
  new CryptoError("ERR_UNAVAILABLE", "The companion asked a person and then fell silent");

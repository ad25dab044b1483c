import {
  type Bytes,
  bytesEqual,
  CryptoError,
  isCryptoError,
  raceSignal,
  utf8,
} from "@lango/crypto-core";
import * as z from "zod";
import type { IncomingRequest } from "../channel/types.ts";
import type { MethodName, Result } from "../protocol/methods.ts";
import { schemas } from "../protocol/schemas.ts";
import type { Waiting } from "./asking.ts";
import type { ResultStore } from "./results.ts";

/** What happens only once: the requests whose result is worth something to whoever gets two of them. */
export const ONCE: ReadonlySet<MethodName> = new Set([
  "sign",
  "mac",
  "wallet.sign",
  "approval.request",
]);

type AnyResult = Result<MethodName>;

/** @param act - Does it, after every question; it is not aborted, so that its result is kept even when nobody waits. */
export type Perform = (
  waiting: Waiting & { act<T>(work: () => Promise<T>): Promise<T> },
) => Promise<AnyResult>;

export interface OnceAnswer {
  readonly result: AnyResult;
  readonly replayed: boolean;
}

/**
 * Runs a request once for its device and id, and keeps the result before it is given out. The same request again, at the same
 * time or later, gets that result.
 *
 * @throws {@link CryptoError} From the returned function: `ERR_CONFLICT` when the id came with another request; the reason of the
 *   request's signal; what `perform` throws, which is not kept.
 */
export const createOnce = (
  results: ResultStore,
): ((request: IncomingRequest, perform: Perform) => Promise<OnceAnswer>) => {
  const running = new Map<string, Run>();

  const find = async ({ peer, id, method }: IncomingRequest, run: Run) => {
    const found = await results.find(peer.id, id);
    if (found === undefined) return undefined;
    if (!bytesEqual(found.hash, run.hash)) throw conflict();
    return { result: decodeResult(method, found.result), replayed: true };
  };

  const work = async (
    request: IncomingRequest,
    run: Run,
    perform: Perform,
  ): Promise<OnceAnswer> => {
    const { peer, id, method } = request;
    const found = await find(request, run);
    if (found !== undefined) return found;
    const result = await perform(run);
    try {
      await results.put(peer.id, id, run.hash, encodeResult(method, result));
    } catch (error) {
      // Another process of this companion was faster. Its result counts, and this one is never seen.
      const first =
        isCryptoError(error) && error.code === "ERR_CONFLICT" && (await find(request, run));
      if (!first) throw error;
      return first;
    }
    return { result, replayed: false };
  };

  return async (request, perform) => {
    const name = `${request.peer.id}/${request.id}`;
    // Once: the channel makes it anew each time.
    const { hash } = request;
    let run = running.get(name);
    if (run === undefined) {
      const forget = (): void => {
        if (running.get(name) === begun) running.delete(name);
      };
      const begun = new Run(hash, forget);
      running.set(name, begun);
      begun.answer = work(request, begun, perform).finally(forget);
      // Everybody may have gone when it fails.
      begun.answer.catch(() => undefined);
      run = begun;
    }
    if (!bytesEqual(run.hash, hash)) throw conflict();
    return run.join(request);
  };
};

/** One run of a request, and everybody who waits for it: who lost the connection asks again while the first still runs. */
class Run {
  readonly hash: Bytes;
  answer!: Promise<OnceAnswer>;
  readonly #abandoned = new AbortController();
  readonly #waiting = new Map<IncomingRequest, (() => void) | undefined>();
  readonly #forget: () => void;
  #asking = false;
  #acting = false;

  constructor(hash: Bytes, forget: () => void) {
    this.hash = hash;
    this.#forget = forget;
  }

  get signal(): AbortSignal {
    return this.#abandoned.signal;
  }

  waiting = (): (() => void) => {
    this.#asking = true;
    for (const request of this.#waiting.keys()) this.#waiting.set(request, request.waiting());
    return () => {
      this.#asking = false;
      for (const stop of this.#waiting.values()) stop?.();
    };
  };

  act = <T>(work: () => Promise<T>): Promise<T> => {
    this.signal.throwIfAborted();
    this.#acting = true;
    return work();
  };

  async join(request: IncomingRequest): Promise<OnceAnswer> {
    this.#waiting.set(request, this.#asking ? request.waiting() : undefined);
    try {
      return await raceSignal(request.signal, () => this.answer);
    } finally {
      if (this.#asking) this.#waiting.get(request)?.();
      this.#waiting.delete(request);
      if (this.#waiting.size === 0 && !this.#acting) {
        // The question is withdrawn. Nothing was done, so the same request may start anew.
        this.#forget();
        this.#abandoned.abort(request.signal.reason);
      }
    }
  }
}

const encodeResult = (method: MethodName, result: AnyResult): Bytes =>
  utf8(JSON.stringify(z.encode(schemas[method].result as z.ZodType<AnyResult>, result)));

const decodeResult = (method: MethodName, bytes: Bytes): AnyResult => {
  try {
    return schemas[method].result.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    throw new CryptoError("ERR_INTEGRITY", "The result that was kept for this request is damaged");
  }
};

const conflict = (): CryptoError =>
  new CryptoError("ERR_CONFLICT", "The id was used for another request already");

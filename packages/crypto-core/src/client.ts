import { isBytes, toPlain } from "./bytes.ts";
import { checkRequest } from "./check-request.ts";
import { decorate, type Intercept } from "./decorate.ts";
import { CryptoError, type CryptoErrorCode, toCryptoError } from "./errors.ts";
import { callHook } from "./hooks.ts";
import type {
  CallOptions,
  CryptoProvider,
  HealthReport,
  HealthRequest,
  KeyDescription,
  Operation,
} from "./provider.ts";
import { runWithin } from "./resilience/deadline.ts";
import { atLeast } from "./resilience/numbers.ts";

/** One call that ended, for spans and counters. */
export interface CallEvent {
  readonly operation: Operation;
  /** The provider's name. */
  readonly provider: string;
  readonly keyId?: string;
  readonly durationMs: number;
  readonly outcome: "ok" | "aborted" | CryptoErrorCode;
}

export interface CryptoClientOptions {
  /** The client closes it. */
  readonly provider: CryptoProvider;
  /**
   * Told of every call when it ended, refused ones too; of `listKeys` once for each key and once for the end. Not
   * awaited; what it throws becomes a warning of the process.
   */
  readonly onCall?: ((event: CallEvent) => void | Promise<void>) | undefined;
  /**
   * Milliseconds for a call that sets no `timeoutMs`. Default: none, since a remote provider has its own deadline from
   * {@link createResilientProvider}. Over a composite it must leave time for the fallback.
   */
  readonly defaultTimeoutMs?: number | undefined;
}

/** What applications use: every operation of {@link CryptoProvider}, checked before and after. */
export interface CryptoClient extends Required<CryptoProvider>, AsyncDisposable {
  listKeys(request?: CallOptions): AsyncIterable<KeyDescription>;
  health(request?: HealthRequest): Promise<HealthReport>;
}

/**
 * Wraps a provider for use by an application.
 *
 * - Arguments are checked against the contract (`ERR_INVALID_ARGUMENT`) and against the provider's capabilities
 *   (`ERR_UNSUPPORTED`) before the provider sees them. All operations exist; those not offered reject.
 * - Every rejection is a {@link CryptoError}, or `signal.reason` after an abort. What a provider throws otherwise becomes
 *   `ERR_INTERNAL` without its message.
 * - Byte strings in results are plain `Uint8Array`s over memory of their own.
 * - `close` runs once; calls after it reject with `ERR_CLOSED`, calls in flight end as they would have.
 *
 * @throws {@link CryptoError} `ERR_CONFIG` for a `defaultTimeoutMs` that is no number or less than 1.
 */
export const createCryptoClient = ({
  provider,
  onCall,
  defaultTimeoutMs,
}: CryptoClientOptions): CryptoClient => {
  if (defaultTimeoutMs !== undefined) atLeast(1, "defaultTimeoutMs", defaultTimeoutMs);
  let closing: Promise<void> | undefined;

  const intercept: Intercept = async (call) => {
    const { operation, request } = call;
    const startedAt = performance.now();
    let outcome: CallEvent["outcome"] = "ok";
    try {
      if (closing !== undefined) throw closed(provider.name, operation);
      checkRequest(provider, operation, request);
      const timeoutMs = request.timeoutMs ?? defaultTimeoutMs;
      const pending =
        timeoutMs === undefined ? call.run() : runWithin(provider.name, call, timeoutMs);
      return ownMemory(await pending);
    } catch (error) {
      if (request?.signal?.aborted && Object.is(error, request.signal.reason)) {
        outcome = "aborted";
        throw error;
      }
      const mapped = toCryptoError(error, { provider: provider.name, operation });
      outcome = mapped.code;
      throw mapped;
    } finally {
      callHook("onCall", onCall, {
        operation,
        provider: provider.name,
        ...(typeof request?.keyId === "string" && { keyId: request.keyId }),
        durationMs: performance.now() - startedAt,
        outcome,
      });
    }
  };
  const checked = decorate(provider, intercept, notOffered) as Required<CryptoProvider>;

  const close = (): Promise<void> => {
    closing ??= closeProvider(provider);
    return closing;
  };
  return {
    ...checked,
    listKeys: (request = {}) => checked.listKeys(request),
    health: (request = {}) => checked.health(request),
    close,
    [Symbol.asyncDispose]: close,
  };
};

/** In the place of methods that the provider has not; the check of the request refuses the call before. */
const notOffered = (): never => {
  throw new CryptoError("ERR_UNSUPPORTED", "Not offered by this provider");
};

const closed = (provider: string, operation: Operation): CryptoError =>
  new CryptoError("ERR_CLOSED", `${provider} is closed`, { context: { provider, operation } });

const closeProvider = async (provider: CryptoProvider): Promise<void> => {
  try {
    await provider.close();
  } catch (error) {
    throw toCryptoError(error, { provider: provider.name, operation: "close" });
  }
};

/** Byte strings of a result as plain ones. A pooled buffer that held plaintext is zeroed once it is copied. */
const ownMemory = <T>(result: T): T => {
  if (isBytes(result)) {
    const plain = toPlain(result);
    if (plain.buffer !== result.buffer) result.fill(0);
    return plain as T;
  }
  if (typeof result !== "object" || result === null) return result;
  const own = { ...result } as Record<string, unknown>;
  for (const [name, value] of Object.entries(own)) {
    if (isBytes(value)) own[name] = toPlain(value);
  }
  return own as T;
};

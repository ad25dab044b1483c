import { checkRequest } from "./check-request.ts";
import { CryptoError, isUnavailable, toCryptoError } from "./errors.ts";
import { callHook } from "./hooks.ts";
import { formatKeyUri, parseKeyUri } from "./key-uri.ts";
import type {
  CreateKeyRequest,
  CryptoProvider,
  HealthReport,
  KeyRequest,
  KeyResult,
  Operation,
  ProviderCapabilities,
  RewrapKeyRequest,
} from "./provider.ts";

export interface FallbackOptions {
  /** The scheme whose keys have a fallback. */
  readonly from: string;
  /** URI of the key that takes over, e.g. `local:default`; of another scheme. */
  readonly to: string;
  /** Whether `wrapKey` falls back as well as `encrypt`. Default: false, since what a wrapped key protects is out of sight here. */
  readonly wrap?: boolean | undefined;
}

/** A fallback that did the work. */
export interface SwitchEvent {
  readonly operation: "encrypt" | "wrapKey";
  /** URI of the key that was asked for. */
  readonly from: string;
  /** URI of the key that did the work. */
  readonly to: string;
  /** Why: `ERR_UNAVAILABLE`, `ERR_TIMEOUT` or `ERR_CIRCUIT_OPEN`. */
  readonly error: CryptoError;
}

export interface CompositeOptions {
  /** By the scheme of their key URIs. The composite closes them. Make remote ones resilient first. */
  readonly providers: Readonly<Record<string, CryptoProvider>>;
  /** Default: none. */
  readonly fallback?: FallbackOptions | undefined;
  /** For the audit and metrics. Called before the result is given out, not awaited; what it throws becomes a warning of the process. */
  readonly onSwitch?: ((event: SwitchEvent) => void | Promise<void>) | undefined;
}

/**
 * Several providers as one. `keyId` of its requests and results is a whole key URI, and the URI alone chooses the provider.
 *
 * With a fallback, `encrypt` (and `wrapKey`, where that is asked for) under a key of `from` goes on under the key `to`
 * when, and only when, the first provider cannot be reached ({@link isUnavailable}). The result says so: `degraded` is
 * set and `keyId` is the URI of the key that did the work, so `decrypt` finds it. Nothing else ever falls back: a
 * signature or MAC by another key is worth nothing, a key created elsewhere is another key, and to try keys until one
 * decrypts lets whoever wrote the ciphertext choose among them. An error of the fallback has the first one as its `cause`.
 *
 * `rewrapKey` moves a key within one provider: its two URIs are of one scheme.
 *
 * Requests are checked against the capabilities of the provider they go to. `random` names no key and is not offered.
 *
 * @throws {@link CryptoError} From here `ERR_CONFIG` for a fallback that does not fit the providers, `ERR_INVALID_ARGUMENT`
 *   for an ill-formed scheme or URI. From the methods
 *   `ERR_INVALID_ARGUMENT` for what is no key URI and for a `rewrapKey` across schemes, `ERR_KEY_NOT_FOUND` for a scheme without a provider.
 */
export const createComposite = ({
  providers,
  fallback,
  onSwitch,
}: CompositeOptions): CryptoProvider => {
  // A map: `constructor` would be found in an object.
  const byScheme = new Map(Object.entries(providers));
  const all = [...new Set(byScheme.values())];
  checkOptions(byScheme, fallback);

  const route = (operation: Operation, uri: string): Target => {
    const { scheme, keyId } = parseKeyUri(uri);
    const provider = byScheme.get(scheme);
    if (provider !== undefined) return { scheme, keyId, provider };
    throw new CryptoError("ERR_KEY_NOT_FOUND", `No provider is configured for ${scheme} keys`, {
      context: { provider: NAME, operation, keyId: uri },
    });
  };

  /** Sends a request to the provider of its URI, under the provider's own name of the key. */
  const send = async <Q extends KeyRequest, T>(
    operation: Operation,
    request: Q,
    call: Call<Q, T>,
  ): Promise<{ target: Target; result: T }> => {
    const target = route(operation, request.keyId);
    const sent = { ...request, keyId: target.keyId };
    checkRequest(target.provider, operation, sent);
    return { target, result: await call(target.provider as Required<CryptoProvider>, sent) };
  };

  const plain =
    <Q extends KeyRequest, T>(operation: Operation, call: Call<Q, T>) =>
    async (request: Q): Promise<T> =>
      (await send(operation, request, call)).result;

  const named =
    <Q extends KeyRequest, T extends KeyResult>(operation: Operation, call: Call<Q, T>) =>
    async (request: Q): Promise<T> => {
      const { target, result } = await send(operation, request, call);
      return { ...result, keyId: formatKeyUri(target.scheme, result.keyId) };
    };

  const withFallback = <Q extends KeyRequest, T extends KeyResult>(
    operation: SwitchEvent["operation"],
    call: Call<Q, T>,
  ): ((request: Q) => Promise<T>) => {
    const direct = named(operation, call);
    if (fallback === undefined || (operation === "wrapKey" && fallback.wrap !== true))
      return direct;
    const { from, to } = fallback;
    return async (request) => {
      try {
        return await direct(request);
      } catch (error) {
        if (!isUnavailable(error) || request.signal?.aborted) throw error;
        if (parseKeyUri(request.keyId).scheme !== from) throw error;
        const result = await direct({ ...request, keyId: to }).catch((second: unknown) => {
          if (request.signal?.aborted) throw request.signal.reason;
          throw failedToo(second, operation, to, error);
        });
        callHook("onSwitch", onSwitch, { operation, from: request.keyId, to: result.keyId, error });
        return { ...result, degraded: true };
      }
    };
  };

  const create = named("createKey", (provider, request: KeyRequest & CreateKeyRequest) =>
    provider.createKey(request),
  );
  const rewrap = named("rewrapKey", (provider, request: RewrapKeyRequest) =>
    provider.rewrapKey(request),
  );
  const healthOf = plain("health", (provider, request: KeyRequest) => provider.health(request));

  return {
    name: NAME,
    capabilities: combine(all.map(({ capabilities }) => capabilities)),
    encrypt: withFallback("encrypt", (provider, request) => provider.encrypt(request)),
    decrypt: plain("decrypt", (provider, request) => provider.decrypt(request)),
    sign: named("sign", (provider, request) => provider.sign(request)),
    verify: plain("verify", (provider, request) => provider.verify(request)),
    mac: named("mac", (provider, request) => provider.mac(request)),
    verifyMac: plain("verifyMac", (provider, request) => provider.verifyMac(request)),
    wrapKey: withFallback("wrapKey", (provider, request) => provider.wrapKey(request)),
    unwrapKey: plain("unwrapKey", (provider, request) => provider.unwrapKey(request)),
    rewrapKey: async ({ toKeyId, ...request }) => {
      const to = parseKeyUri(toKeyId);
      if (to.scheme === parseKeyUri(request.keyId).scheme)
        return await rewrap({ ...request, toKeyId: to.keyId });
      const message = "rewrapKey needs two keys of one provider";
      throw new CryptoError("ERR_INVALID_ARGUMENT", message, {
        context: {
          provider: NAME,
          operation: "rewrapKey",
          hint: "Unwrap the key with the one and wrap it with the other",
        },
      });
    },
    getPublicKey: named("getPublicKey", (provider, request) => provider.getPublicKey(request)),
    createKey: async ({ keyId, ...request }) => {
      if (keyId === undefined) {
        throw new CryptoError("ERR_INVALID_ARGUMENT", "createKey of a composite needs a key URI", {
          context: { provider: NAME, operation: "createKey" },
        });
      }
      return await create({ ...request, keyId });
    },
    rotateKey: named("rotateKey", (provider, request) => provider.rotateKey(request)),
    describeKey: named("describeKey", (provider, request) => provider.describeKey(request)),
    async *listKeys(request) {
      for (const [scheme, provider] of byScheme) {
        if (!provider.capabilities.operations.includes("listKeys")) continue;
        for await (const key of provider.listKeys?.(request) ?? []) {
          yield { ...key, keyId: formatKeyUri(scheme, key.keyId) };
        }
      }
    },
    health: async (request) => {
      const { keyId } = request;
      if (keyId !== undefined) return await healthOf({ ...request, keyId });
      return worst(await Promise.all(all.map((provider) => provider.health(request))), all);
    },
    close: async () => {
      const outcomes = await Promise.allSettled(all.map((provider) => provider.close()));
      for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
    },
  };
};

const NAME = "composite";

interface Target {
  readonly scheme: string;
  readonly keyId: string;
  readonly provider: CryptoProvider;
}

/** The methods are all there: the request was checked against the provider's operations. */
type Call<Q, T> = (provider: Required<CryptoProvider>, request: Q) => Promise<T>;

const checkOptions = (
  providers: ReadonlyMap<string, CryptoProvider>,
  fallback: FallbackOptions | undefined,
): void => {
  for (const scheme of providers.keys()) formatKeyUri(scheme, "key");
  if (fallback === undefined) return;
  const { scheme } = parseKeyUri(fallback.to);
  for (const needed of [fallback.from, scheme]) {
    if (!providers.has(needed))
      throw invalidOptions(`the fallback needs a provider for ${needed} keys`);
  }
  if (scheme === fallback.from)
    throw invalidOptions("the fallback is of the scheme that it stands in for");
};

const invalidOptions = (fault: string): CryptoError =>
  new CryptoError("ERR_CONFIG", `Composite: ${fault}`, { context: { provider: NAME } });

const failedToo = (
  error: unknown,
  operation: Operation,
  keyId: string,
  first: CryptoError,
): CryptoError => {
  const { code, message, context, retryable } = toCryptoError(error, {
    provider: NAME,
    operation,
    keyId,
  });
  return new CryptoError(code, `Fallback to ${keyId}: ${message}`, {
    context,
    retryable,
    cause: first,
  });
};

/** What one or the other can do; a request is checked again where it goes. */
const combine = (parts: readonly ProviderCapabilities[]): ProviderCapabilities => {
  const union = <T>(pick: (part: ProviderCapabilities) => readonly T[]): T[] => [
    ...new Set(parts.flatMap(pick)),
  ];
  const most = (pick: (part: ProviderCapabilities) => number): number =>
    Math.max(0, ...parts.map(pick));
  const levels = parts.map(({ protection }) => protection);
  return {
    operations: union(({ operations }) => operations).filter((operation) => operation !== "random"),
    keyAlgorithms: union(({ keyAlgorithms }) => keyAlgorithms),
    signatureAlgorithms: union(({ signatureAlgorithms }) => signatureAlgorithms),
    macAlgorithms: union(({ macAlgorithms }) => macAlgorithms),
    aad: parts.some(({ aad }) => aad),
    wrapAad: parts.some(({ wrapAad }) => wrapAad),
    maxPlaintextBytes: most(({ maxPlaintextBytes }) => maxPlaintextBytes),
    maxAadBytes: most(({ maxAadBytes }) => maxAadBytes),
    maxWrapBytes: most(({ maxWrapBytes }) => maxWrapBytes),
    signDigest: parts.some(({ signDigest }) => signDigest),
    // The weakest, so that nobody takes the whole for better than its parts.
    protection:
      levels.find((level) => level === "software") ??
      levels.find((level) => level === "remote") ??
      "hsm",
    remote: parts.some(({ remote }) => remote),
  };
};

const worst = (
  reports: readonly HealthReport[],
  providers: readonly CryptoProvider[],
): HealthReport => {
  const reasons = reports.flatMap((report, i) =>
    report.healthy ? [] : [`${providers[i]?.name}: ${report.reason ?? "not healthy"}`],
  );
  return {
    healthy: reasons.length === 0,
    checkedAt: Math.min(...reports.map(({ checkedAt }) => checkedAt)),
    latencyMs: Math.max(...reports.map(({ latencyMs }) => latencyMs)),
    ...(reasons.length > 0 && { reason: reasons.join("; ") }),
  };
};

import type { ChannelEvent, ChannelLimits, Identity, Peers } from "@lango/companion";
import {
  CryptoError,
  type CryptoProvider,
  type ProviderCapabilities,
  type ProviderModule,
  type ResilienceOptions,
  SIGNATURE_SCHEMES,
  type SignatureAlgorithm,
} from "@lango/crypto-core";
import { createCaller } from "./caller.ts";
import { type CompanionPin, checkUrl, parseConfig, type RpcConfig } from "./config.ts";
import { NAME } from "./errors.ts";
import { createKeys, createResolveKey } from "./keys.ts";
import { MAX_AAD_BYTES, MAX_VALUE_BYTES, MAX_WRAP_BYTES } from "./limits.ts";
import { createReconnectingLink, type Link } from "./link.ts";
import { createPublicKeys } from "./public-keys.ts";
import { createSealing } from "./sealing.ts";
import { createSigning } from "./signing.ts";

/** How a companion is dialled. */
export interface DialOptions {
  /** `https://` or `wss://` with host and port; or who finds it, asked at each connection. */
  readonly url: string | ((signal: AbortSignal) => Promise<string>);
  readonly identity: Identity;
  /** The pins: nobody else is spoken to. */
  readonly peers: Peers;
  readonly limits?: Partial<ChannelLimits> | undefined;
  /** For logs and status pages; no event holds a value of a request. */
  readonly onEvent?: ((event: ChannelEvent) => void) | undefined;
}

export interface RpcOptions {
  /** What the key ids `default` and `""` stand for. Default: they are not special. */
  readonly keyId?: string | undefined;
  /** The id of the companion that is meant. Default: the first that is asked, and from then on that one. */
  readonly peerId?: string | undefined;
  /** Milliseconds for a request, but for the time that a person takes. Default: 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Milliseconds that a person may take. Default: 120,000. */
  readonly approvalTimeoutMs?: number | undefined;
  /** What the keys over there take at most, where that is less than what the protocol carries. Default: 65,536. */
  readonly maxPlaintextBytes?: number | undefined;
  /** Likewise. Default: 8,192. */
  readonly maxAadBytes?: number | undefined;
  /** Milliseconds that never go back. Default: `performance.now`. */
  readonly clock?: (() => number) | undefined;
  /** From 0 up to, but not, 1. Default: `Math.random`; jitter needs no secret randomness. */
  readonly random?: (() => number) | undefined;
}

/** A link, which the provider closes; or how to dial. */
export type RpcProviderOptions = RpcOptions & ({ readonly link: Link } | DialOptions);

/**
 * Makes a provider for keys on a companion, a paired second device.
 *
 * It connects at the first call. It repeats requests whose connection broke, under the same request id, and waits for the
 * person at the companion; `createResilientProvider` learns from `capabilities.resilience` to repeat nothing, and to wait as long.
 *
 * @throws `CryptoError` `ERR_CONFIG` for a URL that is not `https://` or `wss://`.
 */
export function createRpcProvider(options: RpcProviderOptions): CryptoProvider {
  const { keyId, peerId, timeoutMs = 30_000, approvalTimeoutMs = 120_000 } = options;
  const { maxPlaintextBytes = MAX_VALUE_BYTES, maxAadBytes = MAX_AAD_BYTES } = options;
  const { clock = () => performance.now(), random = Math.random } = options;
  const link = "link" in options ? options.link : dial(options);
  const caller = createCaller({ link, peerId, timeoutMs, approvalTimeoutMs, random });
  const resolveKey = createResolveKey(keyId);
  return {
    name: NAME,
    capabilities: {
      ...CAPABILITIES,
      maxPlaintextBytes: Math.min(maxPlaintextBytes, MAX_VALUE_BYTES),
      maxAadBytes: Math.min(maxAadBytes, MAX_AAD_BYTES),
      resilience: resilienceFor(timeoutMs + approvalTimeoutMs),
    },
    ...createSealing(caller, resolveKey),
    ...createSigning(caller, resolveKey, createPublicKeys(caller, clock)),
    ...createKeys(caller, resolveKey, keyId),
    close: () => caller.close(),
  };
}

/** For `loadProvider`: the provider `rpc`, with its pins in the configuration. It reads no environment. */
export const provider: ProviderModule<RpcConfig> = {
  name: NAME,
  configSchema: { parse: parseConfig },
  create: async ({ rpcUrl, identityFolder, companions, ...options }) => {
    const { loadIdentity } = await import("@lango/companion");
    const identity = await loadIdentity({ folder: identityFolder, name: "lango" });
    return createRpcProvider({ ...options, url: rpcUrl, identity, peers: pinned(companions) });
  },
};

const CAPABILITIES: ProviderCapabilities = {
  operations: [
    ...(["encrypt", "decrypt", "wrapKey", "unwrapKey", "sign", "verify", "mac"] as const),
    ...(["verifyMac", "getPublicKey", "describeKey", "listKeys", "health"] as const),
  ],
  // Keys are made on the companion.
  keyAlgorithms: [],
  signatureAlgorithms: Object.keys(SIGNATURE_SCHEMES) as SignatureAlgorithm[],
  macAlgorithms: ["hmac-sha256", "hmac-sha384", "hmac-sha512"],
  aad: true,
  wrapAad: true,
  maxPlaintextBytes: MAX_VALUE_BYTES,
  maxAadBytes: MAX_AAD_BYTES,
  maxWrapBytes: MAX_WRAP_BYTES,
  signDigest: true,
  protection: "remote",
  remote: true,
};

/** For what the channel's own deadlines do not see, such as a connection that is being made. */
const GRACE_MS = 1000;

const resilienceFor = (longestMs: number): ResilienceOptions => ({
  deadline: { timeoutMs: longestMs + GRACE_MS },
  // A call that is made again has a new request id, and may be signed a second time.
  retry: { retries: 0 },
  // The link holds off by itself, and knows at once when the companion is back.
  circuitBreaker: { failureThreshold: Number.POSITIVE_INFINITY },
});

const dial = (options: DialOptions & Pick<RpcOptions, "peerId" | "clock" | "random">): Link => {
  const { url, identity, peers, peerId, limits, onEvent, clock, random } = options;
  if (typeof url !== "function") checkUrl(url);
  const connect = async (signal: AbortSignal) => {
    const found = typeof url === "function" ? await url(signal) : url;
    checkUrl(found);
    // With it come `ws` and the schemas: not before somebody needs them.
    const { connectChannel } = await import("@lango/companion");
    const device = { role: "agent", identity, peers } as const;
    return await connectChannel({ ...device, url: found, peerId, limits, onEvent, signal });
  };
  return createReconnectingLink({ connect, clock, random });
};

/** Pins that stand in a configuration. */
const pinned = (companions: readonly CompanionPin[]): Peers => ({
  find: async (fingerprint) => {
    const pin = companions.find((companion) => companion.fingerprint === fingerprint);
    return pin && { ...pin, role: "companion", state: "active", pairedAt: 0 };
  },
  replacePin: async () => {
    const message = "A pin that stands in the configuration is replaced there";
    throw new CryptoError("ERR_UNSUPPORTED", message, { context: { provider: NAME } });
  },
});

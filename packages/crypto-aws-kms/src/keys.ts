import type { KeyMetadata } from "@aws-sdk/client-kms";
import {
  CryptoError,
  type KeyAlgorithm,
  type KeyDescription,
  type KeyState,
  type KeyUsage,
  type Operation,
  type ProtectionLevel,
  raceSignal,
} from "@lango/crypto-core";
import { algorithmOf, usageOf } from "./algorithms.ts";
import { isKeyName, isSameKey, keyIdFor, parseArn } from "./key-id.ts";
import type { Session } from "./session.ts";

/** What is known about a key before it is used. */
export interface Key {
  readonly description: KeyDescription;
  /** Of a signing key, KMS's words for what it signs with. */
  readonly signingAlgorithms: readonly string[] | undefined;
}

/** The keys of a session. */
export interface Keys {
  /** Asks the service what a key is. */
  describe(keyId: string, signal?: AbortSignal): Promise<Key>;
  /**
   * The key for an operation, from memory where it was asked for within `ttlMs`; callers at the same time share one call.
   *
   * @throws {@link CryptoError} `ERR_KEY_USAGE` if it is for something else.
   */
  find(operation: Operation, keyId: string, usage: KeyUsage): Promise<Key>;
  /** Forgets everything: a key has changed, and may be known by several names. */
  forget(): void;
}

const MAX_KEYS = 1000;
// A shared call has no signal of one caller; this one ends it, so that a call which hangs is not waited for ever after.
const DESCRIBE_TIMEOUT_MS = 10_000;

/** Keys by DescribeKey, remembered for `ttlMs`. */
export function createKeys(session: Session, ttlMs: number): Keys {
  const known = new Map<string, { readonly key: Promise<Key>; readonly until: number }>();

  const describe = async (keyId: string, signal?: AbortSignal): Promise<Key> => {
    const sent = keyIdFor(await session.region(), keyId);
    const { KeyMetadata } = await session.send("DescribeKey", { KeyId: sent }, signal);
    const key = keyOf(KeyMetadata, keyId);
    if (isKeyName(sent) && !isSameKey(sent, key.description.keyId)) {
      throw new CryptoError("ERR_KEY_NOT_FOUND", "AWS KMS described another key", {
        context: { provider: "aws-kms", keyId },
      });
    }
    return key;
  };

  const recall = async (keyId: string): Promise<Key> => {
    const found = known.get(keyId);
    if (found !== undefined && found.until > performance.now()) return await found.key;
    const timeout = AbortSignal.timeout(DESCRIBE_TIMEOUT_MS);
    const key = raceSignal(timeout, () => describe(keyId, timeout));
    known.delete(keyId);
    const [oldest] = known.keys();
    if (oldest !== undefined && known.size >= MAX_KEYS) known.delete(oldest);
    const entry = { key, until: performance.now() + ttlMs };
    known.set(keyId, entry);
    try {
      return await key;
    } catch (error) {
      // Failures are not remembered.
      if (known.get(keyId) === entry) known.delete(keyId);
      throw error;
    }
  };

  return {
    describe,
    async find(operation, keyId, usage) {
      const key = await recall(keyId);
      if (key.description.usage === usage) return key;
      const message = `Key ${keyId} is for ${key.description.usage}, not for ${usage}`;
      const context = { provider: "aws-kms", operation, keyId };
      throw new CryptoError("ERR_KEY_USAGE", message, { context });
    },
    forget: () => known.clear(),
  };
}

/**
 * What KMS says about a key, in our words.
 *
 * @throws {@link CryptoError} `ERR_UNSUPPORTED` for a key that the contract has no word for; `ERR_INTEGRITY` for an answer
 *   that names none.
 */
export function keyOf(metadata: KeyMetadata | undefined, keyId: string): Key {
  const arn = metadata?.Arn;
  if (metadata === undefined || arn === undefined || parseArn(arn) === undefined) {
    throw new CryptoError("ERR_INTEGRITY", "AWS KMS described a key without its ARN", {
      context: { provider: "aws-kms", keyId },
    });
  }
  const algorithm: KeyAlgorithm | undefined = algorithmOf(metadata.KeySpec);
  const usage = usageOf(metadata.KeyUsage);
  if (algorithm === undefined || usage === undefined) {
    const what = `${metadata.KeySpec} for ${metadata.KeyUsage}`;
    throw new CryptoError("ERR_UNSUPPORTED", `Keys of ${what} are not supported`, {
      context: { provider: "aws-kms", keyId },
    });
  }
  return {
    description: {
      keyId: arn,
      // Only the material of symmetric keys for encryption changes.
      keyVersion: metadata.CurrentKeyMaterialId ?? "1",
      algorithm,
      usage,
      state: STATES[metadata.KeyState ?? ""] ?? "disabled",
      protection: protectionOf(metadata.Origin),
      ...(metadata.CreationDate !== undefined && { createdAt: metadata.CreationDate.getTime() }),
    },
    signingAlgorithms: metadata.SigningAlgorithms,
  };
}

/** Asymmetric and HMAC keys never change: they have the version `1` and no other. */
export function checkVersion(
  operation: Operation,
  { keyId, keyVersion }: KeyDescription,
  wanted: string | undefined,
): void {
  if (wanted === undefined || wanted === keyVersion) return;
  throw new CryptoError("ERR_KEY_NOT_FOUND", `Key ${keyId} has the version ${keyVersion} only`, {
    context: { provider: "aws-kms", operation, keyId },
  });
}

/** States in which a key may become usable by itself or by its owner's next step; all others are `disabled`. */
const STATES: Readonly<Record<string, KeyState>> = {
  Enabled: "enabled",
  Creating: "pending",
  Updating: "pending",
  PendingImport: "pending",
  // Its custom key store is not connected.
  Unavailable: "pending",
};

function protectionOf(origin: string | undefined): ProtectionLevel {
  return origin === "EXTERNAL_KEY_STORE" ? "remote" : "hsm";
}

import {
  CryptoError,
  type CryptoErrorCode,
  isBytes,
  type KeyDescription,
  type KeyUsage,
  type Operation,
} from "@lango/crypto-core";
import {
  type AzureKeyAlgorithm,
  KEY_ALGORITHMS,
  KEY_OPERATIONS,
  type KeyFacts,
} from "./algorithms.ts";
import type { AzureCallOptions, AzureJwk, AzureKey, AzureKeyClient } from "./client.ts";
import { statusOf } from "./errors.ts";
import { formatKeyId, type KeyRef, parseKid } from "./key-id.ts";
import type { Vault } from "./vault-url.ts";

/** What is known about one version of a key; nothing of it is secret. */
export interface KeyVersion {
  /** The canonical id, without the version. */
  readonly keyId: string;
  readonly name: string;
  readonly version: string;
  readonly algorithm: AzureKeyAlgorithm;
  readonly facts: KeyFacts;
  readonly hsm: boolean;
  /** `key_ops`; `undefined` if the service names none. */
  readonly operations: readonly string[] | undefined;
  readonly jwk: AzureJwk;
  readonly enabled: boolean;
  readonly notBefore: Date | undefined;
  readonly expiresOn: Date | undefined;
  readonly createdOn: Date | undefined;
}

/** An error of this provider, with its place. */
export function fail(
  code: CryptoErrorCode,
  message: string,
  operation: Operation,
  keyId?: string,
  hint?: string,
): CryptoError {
  const context = {
    provider: "azure-kv",
    operation,
    ...(keyId !== undefined && { keyId }),
    ...(hint !== undefined && { hint }),
  };
  return new CryptoError(code, `azure-kv ${operation}: ${message}`, { context });
}

/**
 * The bytes of an answer; the SDK gives text where they are empty.
 *
 * @throws {@link CryptoError} `ERR_INTEGRITY` if there are none.
 */
export function resultBytes(operation: Operation, result: unknown): Uint8Array {
  if (isBytes(result)) return result;
  if (result === "") return new Uint8Array();
  throw fail("ERR_INTEGRITY", "the answer has no value", operation);
}

/**
 * Reads a version of a key, or its current one: the newest that is enabled. When none is, the newest.
 *
 * @throws The SDK's errors; {@link CryptoError} `ERR_UNSUPPORTED` for keys of another kind.
 */
export async function readKey(
  client: AzureKeyClient,
  vault: Vault,
  operation: Operation,
  { name, version }: KeyRef,
  options: AzureCallOptions,
): Promise<KeyVersion> {
  const read = async (wanted: string | undefined): Promise<KeyVersion> => {
    const key = await client.getKey(
      name,
      wanted === undefined ? options : { ...options, version: wanted },
    );
    return keyVersionOf(vault, operation, { name, version: wanted }, key);
  };
  const key = await read(version);
  if (version !== undefined || key.enabled) return key;
  const newest = await newestEnabled(client, name, options);
  return newest === undefined ? key : await read(newest);
}

/** By `created`: the service lists versions in the order of their names, which are random (trap 12). */
async function newestEnabled(
  client: AzureKeyClient,
  name: string,
  options: AzureCallOptions,
): Promise<string | undefined> {
  let newest: string | undefined;
  let newestTime = Number.NEGATIVE_INFINITY;
  try {
    for await (const each of client.listPropertiesOfKeyVersions(name, options)) {
      const time = each.createdOn?.getTime() ?? 0;
      if (each.enabled === false || time <= newestTime) continue;
      newest = each.version;
      newestTime = time;
    }
  } catch (error) {
    // Whoever may not list versions gets the newest one, which says that it is disabled.
    if (statusOf(error) !== 403) throw error;
  }
  return newest;
}

/** Takes an answer of the service apart, and checks that it is about the key that was asked for. */
export function keyVersionOf(
  vault: Vault,
  operation: Operation,
  asked: KeyRef,
  { id, key: jwk = {}, keyType = "", keyOperations, properties }: AzureKey,
): KeyVersion {
  const answered = checkKid(vault, operation, asked, id);
  const keyId = formatKeyId(vault, answered.name);
  const algorithm = algorithmOf(keyType, jwk);
  if (algorithm === undefined) {
    const kind = /^[\w-]{1,16}$/.test(keyType) ? keyType : "unknown";
    throw fail(
      "ERR_UNSUPPORTED",
      `keys of this kind (${kind}) are not supported`,
      operation,
      keyId,
    );
  }
  return {
    keyId,
    ...answered,
    algorithm,
    facts: KEY_ALGORITHMS[algorithm],
    hsm: keyType.endsWith("-HSM"),
    operations: keyOperations,
    jwk,
    enabled: properties.enabled !== false,
    notBefore: properties.notBefore,
    expiresOn: properties.expiresOn,
    createdOn: properties.createdOn,
  };
}

/**
 * Compares the key that answered with the key that was asked.
 *
 * @throws {@link CryptoError} `ERR_INTEGRITY` if they differ.
 */
export function checkKid(
  vault: Vault,
  operation: Operation,
  asked: KeyRef,
  kid: unknown,
): { name: string; version: string } {
  const answered = parseKid(vault, kid);
  // Names of keys are case-insensitive there.
  const sameName = answered?.name.toLowerCase() === asked.name.toLowerCase();
  const sameVersion = asked.version === undefined || answered?.version === asked.version;
  if (answered?.version !== undefined && sameName && sameVersion) {
    return { name: answered.name, version: answered.version };
  }
  throw fail("ERR_INTEGRITY", "another key than the one asked for has answered", operation);
}

function algorithmOf(keyType: string, { crv, n }: AzureJwk): AzureKeyAlgorithm | undefined {
  // "-HSM" says where the key is, not what it is (trap 6).
  const plain = keyType.replace(/-HSM$/, "");
  const bits = n === undefined ? 0 : 8 * (n[0] === 0 ? n.length - 1 : n.length);
  const found = Object.entries(KEY_ALGORITHMS).find(
    ([, facts]) =>
      facts.keyType === plain && (facts.curve ? facts.curve === crv : facts.keySize === bits),
  );
  return found?.[0] as AzureKeyAlgorithm | undefined;
}

/** One key, one usage: a key that may encrypt or wrap is for that. */
export const usageOf = ({ facts, operations = [] }: KeyVersion): KeyUsage =>
  facts.keyType === "RSA" && operations.some((each) => KEY_OPERATIONS.encryption!.includes(each))
    ? "encryption"
    : "signing";

export function describe(key: KeyVersion): KeyDescription {
  const { keyId, version, algorithm, hsm, enabled, notBefore, expiresOn, createdOn } = key;
  const now = Date.now();
  const expired = expiresOn !== undefined && expiresOn.getTime() <= now;
  const early = notBefore !== undefined && notBefore.getTime() > now;
  return {
    keyId,
    keyVersion: version,
    algorithm,
    usage: usageOf(key),
    state: !enabled || expired ? "disabled" : early ? "pending" : "enabled",
    protection: hsm ? "hsm" : "remote",
    ...(createdOn !== undefined && { createdAt: createdOn.getTime() }),
  };
}

/**
 * Refuses a key that may not do it, before the service is asked. Whether its time has come or gone is left to the service:
 * expired keys still decrypt and verify there.
 *
 * @throws {@link CryptoError} `ERR_KEY_USAGE`, `ERR_KEY_DISABLED`.
 */
export function checkMay(key: KeyVersion, operation: Operation, keyOperation: string): void {
  const { keyId, version, enabled, facts, operations } = key;
  const encrypts = KEY_OPERATIONS.encryption!.includes(keyOperation);
  if ((encrypts && facts.keyType === "EC") || operations?.includes(keyOperation) === false) {
    throw fail("ERR_KEY_USAGE", `the key may not ${keyOperation}`, operation, keyId);
  }
  if (!enabled) throw fail("ERR_KEY_DISABLED", `version ${version} is disabled`, operation, keyId);
}

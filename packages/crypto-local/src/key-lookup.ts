import type { KeyObject } from "node:crypto";
import {
  type CallOptions,
  CryptoError,
  type CryptoErrorCode,
  type KeyRequest,
  type KeyResult,
  type KeyUsage,
  type Operation,
} from "@lango/crypto-core";
import { ALGORITHMS, type AlgorithmFacts } from "./algorithms.ts";
import type { KeyRecord, KeySource, KeyVersionRecord } from "./key-source.ts";

/** One version of a key, opened for one operation. */
export interface KeyInUse {
  readonly record: KeyRecord;
  readonly facts: AlgorithmFacts;
  readonly version: KeyVersionRecord;
  readonly key: KeyObject;
  /** What the result says about it. */
  readonly label: KeyResult;
}

/** Finds keys in a source, with every check that comes before the key is used. */
export interface KeyLookup {
  /** @throws {@link CryptoError} `ERR_CLOSED`; the signal's reason if it is aborted. */
  check(operation: Operation, options: CallOptions): void;
  /** @throws {@link CryptoError} `ERR_KEY_NOT_FOUND`, and as `check`. */
  find(operation: Operation, request: KeyRequest): Promise<KeyRecord>;
  /**
   * @param pick - Chooses the version. Default: the one that `keyVersion` names, or else the current one.
   * @throws {@link CryptoError} `ERR_KEY_USAGE`, `ERR_KEY_DISABLED`, and as `find`.
   */
  use(
    usage: KeyUsage,
    operation: Operation,
    request: KeyRequest & { readonly keyVersion?: string | undefined },
    pick?: (record: KeyRecord) => KeyVersionRecord,
  ): Promise<KeyInUse>;
  close(): Promise<void>;
}

/** An error of this provider, with its place. */
export function fail(
  code: CryptoErrorCode,
  message: string,
  operation: Operation,
  keyId?: string,
): CryptoError {
  const context = { provider: "local", operation, ...(keyId !== undefined && { keyId }) };
  return new CryptoError(code, message, { context });
}

/** The version that encrypts, signs and computes MACs: the highest, also when it is disabled. */
export function currentVersion(record: KeyRecord): KeyVersionRecord {
  const version = record.versions.at(-1);
  if (version) return version;
  throw new CryptoError("ERR_INTERNAL", `The key source gave key ${record.id} without versions`);
}

export function createKeyLookup(source: KeySource): KeyLookup {
  let closed = false;

  const check = (operation: Operation, { signal }: CallOptions): void => {
    if (closed) throw fail("ERR_CLOSED", "The provider is closed", operation);
    signal?.throwIfAborted();
  };

  const find = async (operation: Operation, request: KeyRequest): Promise<KeyRecord> => {
    check(operation, request);
    const record = await source.get(request.keyId);
    // A source may take its time.
    check(operation, request);
    if (record) return record;
    throw fail("ERR_KEY_NOT_FOUND", `No key ${request.keyId}`, operation, request.keyId);
  };

  return {
    check,
    find,
    async use(usage, operation, request, pick) {
      const record = await find(operation, request);
      const { id } = record;
      const facts = ALGORITHMS[record.algorithm];
      if (facts.usage !== usage) {
        const message = `Key ${id} is for ${facts.usage}, not for ${usage}`;
        throw fail("ERR_KEY_USAGE", message, operation, id);
      }
      const version = pick ? pick(record) : versionOf(record, operation, request.keyVersion);
      const keyVersion = String(version.version);
      if (version.state !== "enabled") {
        const message = `Version ${keyVersion} of key ${id} is disabled`;
        throw fail("ERR_KEY_DISABLED", message, operation, id);
      }
      const key = await version.material();
      check(operation, request);
      return { record, facts, version, key, label: { keyId: id, keyVersion } };
    },
    async close() {
      if (closed) return;
      closed = true;
      await source.close?.();
    },
  };
}

function versionOf(
  record: KeyRecord,
  operation: Operation,
  keyVersion: string | undefined,
): KeyVersionRecord {
  if (keyVersion === undefined) return currentVersion(record);
  const version = record.versions.find((each) => String(each.version) === keyVersion);
  if (version) return version;
  const message = `Key ${record.id} has no version ${keyVersion}`;
  throw fail("ERR_KEY_NOT_FOUND", message, operation, record.id);
}

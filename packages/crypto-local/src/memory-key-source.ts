import type { KeyObject } from "node:crypto";
import { CryptoError } from "@lango/crypto-core";
import { isLocalAlgorithm, type LocalKeyAlgorithm } from "./algorithms.ts";
import type { KeyRecord, KeySource, KeyVersionRecord } from "./key-source.ts";
import { importKeyMaterial } from "./material.ts";

/** A key handed to {@link createLocalProvider}. */
export interface LocalKey {
  /** At least one character; `keyId` of requests. */
  readonly id: string;
  readonly algorithm: LocalKeyAlgorithm;
  /** At least one, in any order; the highest is the current one. */
  readonly versions: readonly LocalKeyVersion[];
}

/** One version of a {@link LocalKey}. */
export interface LocalKeyVersion {
  /** 1 to 2^32 − 1. */
  readonly version: number;
  /** The secret; see {@link importKeyMaterial} for its form. Copied: the caller may zero it. */
  readonly material: Uint8Array | KeyObject;
  /** Default: `enabled`. */
  readonly state?: KeyVersionRecord["state"];
}

/**
 * Keeps keys in the memory of this process. What `create` and `rotate` add is lost when the process ends.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for a key that does not fit its algorithm, an id or a version that
 *   comes twice, a key without versions.
 */
export function createMemoryKeySource(keys: readonly LocalKey[]): Required<KeySource> {
  const records = new Map<string, KeyRecord>();
  for (const key of keys) {
    if (records.has(key.id)) throw invalid(`Key ${key.id} is given twice`);
    records.set(key.id, importKey(key));
  }
  return {
    get: (keyId) => records.get(keyId),
    list: () => records.values(),
    create({ id, algorithm, material }) {
      if (records.has(id)) throw new CryptoError("ERR_CONFLICT", `Key ${id} exists already`);
      const record = { id, algorithm, versions: [newVersion(algorithm, 1, material)] };
      records.set(id, record);
      return record;
    },
    rotate(keyId, material) {
      const record = records.get(keyId);
      if (!record) throw new CryptoError("ERR_KEY_NOT_FOUND", `No key ${keyId}`);
      const next = (record.versions.at(-1)?.version ?? 0) + 1;
      const rotated = {
        ...record,
        versions: [...record.versions, newVersion(record.algorithm, next, material)],
      };
      records.set(keyId, rotated);
      return rotated;
    },
    close: () => records.clear(),
  };
}

function newVersion(
  algorithm: LocalKeyAlgorithm,
  version: number,
  material: Uint8Array,
): KeyVersionRecord {
  const key = importKeyMaterial(algorithm, material);
  return { version, state: "enabled", createdAt: Date.now(), material: () => key };
}

function importKey({ id, algorithm, versions }: LocalKey): KeyRecord {
  if (id === "") throw invalid("A key has an empty id");
  if (!isLocalAlgorithm(algorithm)) throw invalid(`Key ${id}: no local algorithm ${algorithm}`);
  if (versions.length === 0) throw invalid(`Key ${id} has no version`);
  const imported = versions
    .map(({ version, material, state = "enabled" }): KeyVersionRecord => {
      if (!Number.isInteger(version) || version < 1 || version > 0xffffffff) {
        throw invalid(`Key ${id}: version ${version} is no integer from 1 to 2^32 − 1`);
      }
      const key = importKeyMaterial(algorithm, material);
      return { version, state, material: () => key };
    })
    .sort((a, b) => a.version - b.version);
  for (const [index, { version }] of imported.entries()) {
    if (imported[index + 1]?.version === version) {
      throw invalid(`Key ${id} has version ${version} twice`);
    }
  }
  return { id, algorithm, versions: imported };
}

const invalid = (message: string): CryptoError => new CryptoError("ERR_INVALID_ARGUMENT", message);

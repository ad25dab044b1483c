import { createPublicKey, type KeyObject } from "node:crypto";
import {
  type Bytes,
  bytesEqual,
  CryptoError,
  randomBytesFresh,
  toHex,
  toPlain,
  utf8,
  zero,
} from "@lango/crypto-core";
import type { KeyRecord, KeySource, LocalKeyAlgorithm, NewKey } from "@lango/crypto-local";
import { importKeyMaterial } from "@lango/crypto-local";
import { openValue, parts, sealValue, type VaultKeys } from "@lango/envelope";
import type { KeyRow, KeyVersionRow } from "@lango/store";
import { changeOf } from "./audit/row-hashes.ts";
import type { VaultContext } from "./context.ts";
import { checkNameIsFree, type KeyRegistry, keyUri, LOCAL } from "./key-registry.ts";
import { checkKeyName } from "./names.ts";
import { checkRow, withMac } from "./rows.ts";

const LOCAL_KEY = utf8("lango/v1/local-key");

/** What sealed key material is bound to: parts(`lango/v1/local-key`, vault id, key id, version in decimal). */
export const materialAad = (vaultId: Uint8Array, keyId: string, version: string): Bytes =>
  parts(LOCAL_KEY, vaultId, utf8(keyId), utf8(version));

/** The keys of the registry whose material the vault holds, opened when they are first used. */
export const createLocalKeySource = (
  context: VaultContext,
  registry: KeyRegistry,
): Required<KeySource> => {
  const { store, vaultId, keys, log } = context;
  /** By `keyId/version`. The provider keeps what it derives from a key object as long as the same one comes. */
  const opened = new Map<string, KeyObject>();

  const open = (algorithm: LocalKeyAlgorithm, row: KeyVersionRow): KeyObject => {
    const name = `${row.keyId}/${row.version}`;
    const known = opened.get(name);
    if (known) return known;
    const aad = materialAad(vaultId, row.keyId, row.version);
    const material = openValue(keys.wrap, row.sealed ?? new Uint8Array(), aad);
    try {
      const key = importKeyMaterial(algorithm, material);
      opened.set(name, key);
      return key;
    } finally {
      zero(material);
    }
  };

  /** The versions of a key, all of them: without the newest, an older one would be used in its place. */
  const wholeVersions = async (
    found: KeyRow,
  ): Promise<{ row: KeyRow; versions: KeyVersionRow[] }> => {
    for (let row = found; ; ) {
      const versions = await store.keys.listVersions(row.id);
      for (const version of versions) checkRow(keys.rows, "key_versions", version);
      if (areWhole(versions, newestOf(row, versions))) return { row, versions };
      const now = await registry.findById(row.id);
      if (bytesEqual(now.mac, row.mac)) throw versionsLost(row);
      // Another process rotated the key between the two reads.
      row = now;
    }
  };

  const record = async (found: KeyRow): Promise<KeyRecord | undefined> => {
    const { row, versions } = await wholeVersions(found);
    if (versions.length === 0) return undefined;
    // Only keys for encryption are put under a provider, whose algorithm the row then has.
    const algorithm = row.provider === LOCAL ? (row.algorithm as LocalKeyAlgorithm) : "aes-256-gcm";
    return {
      id: row.name,
      algorithm,
      versions: versions
        .map((version) => ({
          version: Number(version.version),
          // A disabled key disables all of its versions.
          state: enabled(row) && enabled(version) ? ("enabled" as const) : ("disabled" as const),
          createdAt: version.createdAt,
          material: () => open(algorithm, version),
        }))
        .sort((a, b) => a.version - b.version),
    };
  };

  const whole = async (row: KeyRow): Promise<KeyRecord> => {
    const found = await record(row);
    if (found) return found;
    throw versionsLost(row);
  };

  const find = async (name: string): Promise<KeyRow> => {
    const row = await registry.findLocal(name);
    if (row) return row;
    throw new CryptoError("ERR_KEY_NOT_FOUND", `No key ${name}`, { context: { keyId: name } });
  };

  return {
    async get(name) {
      const row = await registry.findNamed(name);
      return row && record(row);
    },
    async *list() {
      for (const row of await registry.list()) {
        const found = row.provider === LOCAL && (await record(row));
        if (found) yield found;
      }
    },
    async create(key) {
      checkKeyName(key.id);
      const rows = newLocalKey(context, key);
      await store.transaction("full", async (tx) => {
        await checkNameIsFree(tx, key.id);
        await tx.keys.insert(rows.key);
        await tx.keys.insertVersion(rows.version);
        await log.appendIn(tx, {
          action: "key.create",
          target: keyUri(rows.key),
          rows: [changeOf("keys", rows.key), changeOf("key_versions", rows.version)],
        });
      });
      return whole(rows.key);
    },
    async rotate(name, material) {
      const before = await find(name);
      const { keyId, ...version } = newVersion(
        context,
        before.id,
        String(Number(before.keyVersion) + 1),
        before.algorithm as LocalKeyAlgorithm,
        material,
      );
      const row = withMac(keys.rows, "keys", {
        ...before,
        keyVersion: version.version,
        publicKey: version.publicKey,
      });
      await store.transaction("full", async (tx) => {
        await tx.keys.update(row, before.mac);
        await tx.keys.insertVersion({ keyId, ...version });
        await log.appendIn(tx, {
          action: "key.rotate",
          target: keyUri(row),
          rows: [changeOf("keys", row), changeOf("key_versions", { keyId, ...version })],
        });
      });
      return whole(row);
    },
    close: () => opened.clear(),
  };
};

/** Whether there is each version from 1 to the newest, and none beyond. */
const areWhole = (versions: readonly KeyVersionRow[], newest: number): boolean => {
  const numbers = new Set(versions.map(({ version }) => Number(version)));
  return numbers.size === newest && Math.max(0, ...numbers) === newest;
};

/** Of a key that was put under a provider, the row no longer says which one it was: it has those that are there. */
const newestOf = (row: KeyRow, versions: readonly KeyVersionRow[]): number =>
  row.provider === LOCAL ? Number(row.keyVersion) : versions.length;

const versionsLost = ({ name, keyVersion }: KeyRow): CryptoError =>
  new CryptoError("ERR_INTEGRITY", `The versions of key ${name} are not 1 to ${keyVersion}`, {
    context: { keyId: name, hint: "Compare the database with the log: lango audit verify --rows" },
  });

const enabled = ({ state }: { readonly state: string }): boolean => state === "enabled";

/** A key that a provider wrapped for as a local one: with the material that it had when it was local before, or new one. */
export const asLocalKey = async (
  context: VaultContext,
  key: KeyRow,
): Promise<{ readonly row: KeyRow; readonly version?: KeyVersionRow }> => {
  const { store, keys } = context;
  const versions = await store.keys.listVersions(key.id);
  for (const version of versions) checkRow(keys.rows, "key_versions", version);
  if (!areWhole(versions, versions.length)) throw versionsLost(key);
  const algorithm = "aes-256-gcm";
  const row = withMac(keys.rows, "keys", {
    ...key,
    ...{ algorithm, provider: LOCAL, remoteKeyId: null, publicKey: null },
    keyVersion: String(versions.length || 1),
  });
  if (versions.length > 0) return { row };
  const material = randomBytesFresh(32);
  try {
    return { row, version: newVersion(context, key.id, "1", algorithm, material) };
  } finally {
    zero(material);
  }
};

/** The rows of a new local key at version 1. */
export const newLocalKey = (
  context: Pick<VaultContext, "vaultId" | "keys" | "clock">,
  { id: name, algorithm, material }: NewKey,
): { readonly key: KeyRow; readonly version: KeyVersionRow } => {
  const version = newVersion(context, toHex(randomBytesFresh(12)), "1", algorithm, material);
  const key = withMac(context.keys.rows, "keys", {
    id: version.keyId,
    name,
    type: algorithm === "aes-256-gcm" ? "encryption" : "signing",
    algorithm,
    provider: LOCAL,
    remoteKeyId: null,
    keyVersion: version.version,
    publicKey: version.publicKey,
    state: "enabled",
    createdAt: version.createdAt,
    lastUsedAt: null,
  });
  return { key, version };
};

const newVersion = (
  { vaultId, keys, clock }: { vaultId: Bytes; keys: VaultKeys; clock: () => number },
  keyId: string,
  version: string,
  algorithm: LocalKeyAlgorithm,
  material: Uint8Array,
): KeyVersionRow =>
  withMac(keys.rows, "key_versions", {
    keyId,
    version,
    sealed: sealValue(keys.wrap, material, materialAad(vaultId, keyId, version)),
    publicKey: publicKeyOf(importKeyMaterial(algorithm, material)),
    state: "enabled",
    createdAt: clock(),
  });

/** SPKI DER; null for a secret key. */
const publicKeyOf = (key: KeyObject): Bytes | null =>
  key.type === "private"
    ? toPlain(createPublicKey(key).export({ type: "spki", format: "der" }))
    : null;

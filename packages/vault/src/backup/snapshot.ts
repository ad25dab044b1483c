import { createHmac } from "node:crypto";
import { type FileHandle, open, readFile } from "node:fs/promises";
import { basename } from "node:path";
import { type Bytes, CryptoError, toPlain, utf8, zero } from "@lango/crypto-core";
import { hkdf, type JsonValue, parseJsonStrict } from "@lango/envelope";
import { SCHEMA_VERSION } from "@lango/store";
import { MAX_FILE_BYTES } from "../audit/anchor-file.ts";
import type { Backups, Snapshot, SnapshotFile } from "../backup-types.ts";
import type { VaultContext } from "../context.ts";
import type { DatabaseWish } from "../database-types.ts";
import { fileError, readSmallFile } from "../files.ts";
import type { Gate } from "../gate.ts";
import type { HomePaths } from "../keyslots-file.ts";
import { settle } from "../slot-file-state.ts";
import { reached } from "../stages.ts";
import { removeCopy } from "./left-copy.ts";
import { copyFromServer } from "./server-copy.ts";

const MAX_CONFIG_BYTES = 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;

export interface BackupsOptions {
  readonly context: VaultContext;
  readonly paths: HomePaths;
  readonly vaultKey: Uint8Array;
  /** How the home wants its database, if it ever is a file. */
  readonly database?: DatabaseWish | undefined;
  readonly gate: Gate;
}

export const createBackups = (options: BackupsOptions): Backups => ({
  take: (use, { signal } = {}) =>
    options.gate.run(async () => {
      const { store } = options.context;
      const taken = await store.withLock(() => takeUnderLock(options, signal));
      try {
        return await use(taken.snapshot);
      } finally {
        await taken.database.close();
      }
    }),
});

interface Taken {
  readonly snapshot: Snapshot;
  readonly database: FileHandle;
}

const takeUnderLock = async (
  options: BackupsOptions,
  signal: AbortSignal | undefined,
): Promise<Taken> => {
  const { context, paths, vaultKey } = options;
  const { bytes, keyslots } = await settle(context, paths, vaultKey);
  const small: SnapshotFile[] = [fileOf("keyslots.json", bytes)];
  const config = await readConfig(paths.config);
  if (config)
    small.push(fileOf(basename(paths.config), paths.slotRow ? inFile(config, paths) : config));
  // Before the database: every anchor is in the chain before it is in its file, so that all of these are in the copy.
  for (const path of [paths.anchorsBefore, paths.anchors]) {
    const anchors = await readSmallFile(path, 2 * MAX_FILE_BYTES);
    if (anchors) small.push(fileOf(basename(path), anchors));
  }
  const database = await copyDatabase(options, signal);
  const { size } = await database.stat();
  const copied = { name: "lango.db", size, chunks: () => chunksOf(database) };
  return {
    database,
    snapshot: {
      vaultId: keyslots.vaultId,
      slotGeneration: keyslots.generation,
      schema: SCHEMA_VERSION,
      from: paths.slotRow && context.store.location,
      files: [...small, copied],
      mac: (manifest) => manifestMac(vaultKey, context.vaultId, manifest),
    },
  };
};

/** Copies the database into a file and takes the name of that away, so that it ends with this process, however that ends. */
const copyDatabase = async (
  { context: { store, keys }, paths, database: wish }: BackupsOptions,
  signal: AbortSignal | undefined,
): Promise<FileHandle> => {
  await removeCopy(paths);
  reached("backup:begun");
  try {
    const copy = { keys, paths, wish, signal };
    const file = store.snapshot
      ? await store.snapshot((reads) => copyFromServer(reads, copy))
      : paths.databaseCopy;
    await store.copyTo?.(file);
    reached("backup:copied");
    return await openCopy(file);
  } finally {
    await removeCopy(paths);
  }
};

const openCopy = async (path: string): Promise<FileHandle> => {
  try {
    return await open(path, "r");
  } catch (error) {
    throw fileError(path, "read", error);
  }
};

const fileOf = (name: string, bytes: Bytes): SnapshotFile => ({
  name,
  size: bytes.length,
  async *chunks() {
    yield bytes;
  },
});

const chunksOf = (file: FileHandle): AsyncIterable<Uint8Array> =>
  file.createReadStream({ start: 0, autoClose: false, highWaterMark: CHUNK_BYTES });

/** Others may read the settings, so that it is no small file of ours. */
const readConfig = async (path: string): Promise<Bytes | undefined> => {
  try {
    const bytes = toPlain(await readFile(path));
    if (bytes.length <= MAX_CONFIG_BYTES) return bytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw fileError(path, "read", error);
  }
  throw new CryptoError("ERR_CONFIG", `${path} is larger than ${MAX_CONFIG_BYTES} bytes`);
};

/**
 * The settings of a vault on a server, with its rows in a file: so whoever restores them, or unpacks them by hand, gets a home
 * that is of one piece.
 */
const inFile = (config: Bytes, { config: path }: HomePaths): Bytes => {
  let settings: JsonValue;
  try {
    settings = parseJsonStrict(config, { maxBytes: MAX_CONFIG_BYTES });
  } catch (cause) {
    throw new CryptoError("ERR_CONFIG", `${path} cannot be read`, { cause });
  }
  if (typeof settings !== "object" || settings === null || !("store" in settings)) return config;
  return utf8(`${JSON.stringify({ ...settings, store: { driver: "sqlite" } }, null, 2)}\n`);
};

/** See {@link Snapshot.mac}. */
export const manifestMac = (
  vaultKey: Uint8Array,
  vaultId: Uint8Array,
  manifest: Uint8Array,
): Bytes => {
  const key = hkdf(vaultKey, vaultId, "lango/v1/backup");
  try {
    return toPlain(createHmac("sha256", key).update(manifest).digest());
  } finally {
    zero(key);
  }
};

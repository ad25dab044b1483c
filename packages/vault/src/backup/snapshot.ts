import { createHmac } from "node:crypto";
import { type FileHandle, open, readFile, rm } from "node:fs/promises";
import { basename } from "node:path";
import { type Bytes, CryptoError, toPlain, zero } from "@lango/crypto-core";
import { hkdf } from "@lango/envelope";
import { SCHEMA_VERSION, type Store } from "@lango/store";
import { MAX_FILE_BYTES } from "../audit/anchor-file.ts";
import type { Backups, Snapshot, SnapshotFile } from "../backup-types.ts";
import type { VaultContext } from "../context.ts";
import { fileError, readSmallFile } from "../files.ts";
import type { Gate } from "../gate.ts";
import type { HomePaths } from "../keyslots-file.ts";
import { settle } from "../slot-file-state.ts";
import { reached } from "../stages.ts";
import { removeCopy } from "./left-copy.ts";

const MAX_CONFIG_BYTES = 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;

export interface BackupsOptions {
  readonly context: VaultContext;
  readonly paths: HomePaths;
  readonly vaultKey: Uint8Array;
  readonly gate: Gate;
}

export const createBackups = (options: BackupsOptions): Backups => ({
  take: (use) =>
    options.gate.run(async () => {
      const { store } = options.context;
      const copyTo = store.copyTo?.bind(store);
      if (!copyTo) throw noFile();
      const taken = await store.withLock(() => takeUnderLock(options, copyTo));
      try {
        return await use(taken.snapshot);
      } finally {
        await taken.database.close();
      }
    }),
});

const noFile = (): CryptoError =>
  new CryptoError(
    "ERR_UNSUPPORTED",
    "This vault keeps its rows on a server, which is backed up there",
    {
      context: {
        hint: 'Run: pg_dump --format=custom --schema=lango "$DATABASE_URL" | age -p > vault.dump.age, the address without ?schema=…; and keep config.json and audit-anchors*.jsonl of the home',
      },
    },
  );

interface Taken {
  readonly snapshot: Snapshot;
  readonly database: FileHandle;
}

const takeUnderLock = async (
  { context, paths, vaultKey }: BackupsOptions,
  copyTo: NonNullable<Store["copyTo"]>,
): Promise<Taken> => {
  const { bytes, keyslots } = await settle(context, paths, vaultKey);
  const small: SnapshotFile[] = [fileOf(paths.keyslots, bytes)];
  const config = await readConfig(paths.config);
  if (config) small.push(fileOf(paths.config, config));
  // Before the database: every anchor is in the chain before it is in its file, so that all of these are in the copy.
  for (const path of [paths.anchorsBefore, paths.anchors]) {
    const anchors = await readSmallFile(path, 2 * MAX_FILE_BYTES);
    if (anchors) small.push(fileOf(path, anchors));
  }
  await removeCopy(paths);
  reached("backup:begun");
  await copyTo(paths.databaseCopy);
  reached("backup:copied");
  const database = await openNameless(paths.databaseCopy);
  const { size } = await database.stat();
  const copied = { name: basename(paths.database), size, chunks: () => chunksOf(database) };
  return {
    database,
    snapshot: {
      vaultId: keyslots.vaultId,
      slotGeneration: keyslots.generation,
      schema: SCHEMA_VERSION,
      files: [...small, copied],
      mac: (manifest) => manifestMac(vaultKey, context.vaultId, manifest),
    },
  };
};

/** Opens a file and takes its name away, so that it ends with this process, however that ends. */
const openNameless = async (path: string): Promise<FileHandle> => {
  try {
    return await open(path, "r");
  } catch (error) {
    throw fileError(path, "read", error);
  } finally {
    await rm(path, { force: true });
  }
};

const fileOf = (path: string, bytes: Bytes): SnapshotFile => ({
  name: basename(path),
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

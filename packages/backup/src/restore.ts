import { lstat, open, readdir, realpath, statfs } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { CryptoError } from "@lango/crypto-core";
import { fileError } from "@lango/envelope";
import { withFolderLock } from "@lango/store";
import {
  makeFolder,
  type RestoredVault,
  type RestoreVaultOptions,
  restoreVault,
} from "@lango/vault";
import type { Manifest, ManifestEntry } from "./manifest.ts";
import { type BackupSink, type ReadBackupOptions, readBackup } from "./read.ts";
import { reached } from "./stages.ts";
import { putInPlace, withStaging } from "./staging.ts";

export interface RestoreBackupOptions
  extends ReadBackupOptions,
    Pick<RestoreVaultOptions, "unlock" | "busyTimeoutMs"> {
  /** The folder of the vault: absent or empty, or anything with `force`. */
  readonly home: string;
  /** Sets a home that is there aside, whole and under another name. Default false: it is refused. */
  readonly force?: boolean | undefined;
  /** Does everything but put the result in place. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Milliseconds since the epoch. Default: `Date.now`. */
  readonly clock?: (() => number) | undefined;
}

/** What `restoreBackup` did; with `dryRun`, would do. */
export interface RestoredBackup extends RestoredVault {
  readonly manifest: Manifest;
  /** Where the home from before is; `undefined` when there was none. */
  readonly setAside: string | undefined;
}

/**
 * Restores a backup. Everything is checked, in a folder beside the home, before that goes into place by a rename: what age
 * authenticates, the form of the archive, every hash, the slots and who made the manifest (with the vault's key), the database,
 * its rows and its log. Until then nothing changes. What changes in the vault is in `restoreVault` of `@lango/vault`.
 *
 * A home that is replaced is set aside, never deleted. Whoever is killed in between leaves the old home in place, or a restore
 * that `finishRestore` ends.
 *
 * @throws {@link CryptoError} `ERR_CONFLICT` for a home that is not empty (without `force`), that another process uses or
 *   restores, or that holds another vault; `ERR_BUSY` when the disk is too full; as `readBackup` and `restoreVault`. The reason
 *   of an abort.
 */
export const restoreBackup = async (options: RestoreBackupOptions): Promise<RestoredBackup> => {
  const { force = false, dryRun = false, clock = Date.now, signal } = options;
  signal?.throwIfAborted();
  const { home, holdsSomething } = await placeOf(options.home);
  if (holdsSomething && !force) throw notEmpty(home);
  const setAside = holdsSomething ? await freeName(home, clock()) : undefined;
  return withStaging(home, async (staged) => {
    const { manifest, signed, mac } = await readBackup(options, extractInto(staged));
    reached("restore:extracted");
    const where = setAside === undefined ? "" : `, old home kept as ${basename(setAside)}`;
    const restored = await restoreVault({
      ...{ home: staged, manifest: signed, mac, dryRun, clock },
      ...{ unlock: options.unlock, busyTimeoutMs: options.busyTimeoutMs },
      origin: `backup of ${manifest.createdAt}${where}`,
      replaces: holdsSomething ? home : undefined,
    });
    signal?.throwIfAborted();
    if (!dryRun)
      await underOldLock(holdsSomething ? home : undefined, () => putInPlace(home, setAside));
    return { ...restored, manifest, setAside };
  });
};

/** The home without links, since a link would be renamed in the place of the folder; and whether it is empty. */
const placeOf = async (path: string): Promise<{ home: string; holdsSomething: boolean }> => {
  const absolute = resolve(path);
  try {
    const stat = await lstat(absolute);
    const home = await realpath(absolute);
    if (!stat.isDirectory() && !(await lstat(home)).isDirectory()) {
      throw new CryptoError("ERR_CONFIG", `${absolute} is no folder`);
    }
    return { home, holdsSomething: (await readdir(home)).length > 0 };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw fileError("read", path, error);
  }
  makeFolder(dirname(absolute));
  const home = join(await realpath(dirname(absolute)), basename(absolute));
  return { home, holdsSomething: false };
};

const notEmpty = (home: string): CryptoError =>
  new CryptoError("ERR_CONFLICT", `${home} is not empty`, {
    context: {
      hint: "Restore into another folder with --home DIR, or set this one aside with --force: it is renamed, not deleted",
    },
  });

const freeName = async (home: string, now: number): Promise<string> => {
  const stamp = new Date(now).toISOString().slice(0, 19).replaceAll(":", "");
  const names = new Set(await readdir(dirname(home)));
  for (let number = 1; ; number += 1) {
    const path = `${home}.before-restore-${stamp}Z${number === 1 ? "" : `-${number}`}`;
    if (!names.has(basename(path))) return path;
  }
};

/** So that nobody is changing the slots of a home while it goes away. On Windows an open file would keep it from going. */
const underOldLock = (home: string | undefined, run: () => Promise<void>): Promise<void> =>
  home === undefined || process.platform === "win32" ? run() : withFolderLock(home, run);

const extractInto = (folder: string): BackupSink => ({
  begin: ({ entries }) => checkSpace(folder, entries),
  async file({ name }, pieces) {
    const file = await open(join(folder, name), "wx", 0o600);
    try {
      for await (const piece of pieces) await file.appendFile(piece);
      await file.sync();
    } finally {
      await file.close();
    }
  },
});

/** What a vault needs beside its files while it is opened and changed. */
const MARGIN_BYTES = 16 * 1024 * 1024;

const checkSpace = async (folder: string, entries: readonly ManifestEntry[]): Promise<void> => {
  const needed = entries.reduce((sum, { size }) => sum + size, MARGIN_BYTES);
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= needed) return;
  const mib = (bytes: number): number => Math.ceil(bytes / 2 ** 20);
  throw new CryptoError(
    "ERR_BUSY",
    `The disk of ${dirname(folder)} is too full: ${mib(needed)} MiB are needed, ${mib(bavail * bsize)} are free`,
    { retryable: false },
  );
};

import { createHash } from "node:crypto";
import { lstat } from "node:fs/promises";
import { CryptoError, isCryptoError } from "@lango/crypto-core";
import { fileError, replaceFile } from "@lango/envelope";
import type { Snapshot, Vault } from "@lango/vault";
import { type Sealing, seal } from "./age.ts";
import { encodeManifest, MANIFEST_NAME, type Manifest, type ManifestEntry } from "./manifest.ts";
import { encodeHeader, endOfArchive, paddingOf } from "./tar.ts";

/** Is told how many bytes were done, and how many there are in all. */
export type OnProgress = (done: number, total: number) => void;

export interface CreateBackupOptions {
  /** An open vault. */
  readonly vault: Pick<Vault, "backups" | "audit">;
  /** A file that is not there yet. */
  readonly to: string;
  readonly sealing: Sealing;
  /** Version of this lango, for the manifest. */
  readonly lango: string;
  /** Base-2 logarithm of the work to try a passphrase. Default 18, as age has it. */
  readonly workFactor?: number | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds since the epoch. Default: `Date.now`. */
  readonly clock?: (() => number) | undefined;
}

/** What `createBackup` made. */
export interface CreatedBackup {
  readonly manifest: Manifest;
  /** Of the file. */
  readonly bytes: number;
  /** SHA-256 of the file, 64 hex characters; the log has it too. */
  readonly sha256: string;
}

/**
 * Makes a backup of a vault while others go on using it: one file of mode 0600 that `age -d` opens into a tar archive. It
 * appears whole, once the log knows it, or not at all. Memory does not grow with the vault.
 *
 * @throws {@link CryptoError} `ERR_CONFLICT` when the file is there, or the slots are being changed; `ERR_INVALID_ARGUMENT`
 *   for a bad recipient or none; `ERR_BUSY` when the disk is full; `ERR_UNAVAILABLE` when the server of the vault cannot be
 *   reached. The reason of an abort.
 */
export const createBackup = async (options: CreateBackupOptions): Promise<CreatedBackup> => {
  const { vault, to, sealing, signal } = options;
  signal?.throwIfAborted();
  if ("recipients" in sealing && sealing.recipients.length === 0) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", "A backup needs a recipient");
  }
  await refuseExisting(to);
  try {
    return await vault.backups.take((snapshot) => write(snapshot, options), { signal });
  } catch (error) {
    if (isCryptoError(error)) await noteFailure(vault, error);
    throw error;
  }
};

const refuseExisting = async (file: string): Promise<void> => {
  try {
    await lstat(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw fileError("write", file, error);
  }
  throw new CryptoError("ERR_CONFLICT", `${file} is there already`, {
    context: { hint: "Choose another name: a backup never takes the place of another" },
  });
};

/** What went wrong is more important than that it could not be noted. */
const noteFailure = async (
  { audit }: Pick<Vault, "audit">,
  { code }: CryptoError,
): Promise<void> => {
  await audit.append({ action: "backup.create", outcome: "failure", code }).catch(() => undefined);
};

const write = async (
  snapshot: Snapshot,
  {
    vault,
    to,
    sealing,
    lango,
    workFactor,
    onProgress,
    signal,
    clock = Date.now,
  }: CreateBackupOptions,
): Promise<CreatedBackup> => {
  const { vaultId, slotGeneration, schema, from } = snapshot;
  const createdAt = clock();
  const entries = await hashFiles(snapshot, signal);
  const manifest: Manifest = {
    createdAt: new Date(createdAt).toISOString(),
    lango,
    schema,
    vaultId,
    slotGeneration,
    ...(from === undefined ? {} : { from }),
    entries,
  };
  const head = encodeManifest(manifest, snapshot.mac);
  const total = entries.reduce((sum, { size }) => sum + size, 0);
  let done = 0;

  async function* archive(): AsyncGenerator<Uint8Array> {
    yield encodeHeader({ name: MANIFEST_NAME, size: head.length }, createdAt);
    yield head;
    yield paddingOf(head.length);
    for (const { name, size, chunks } of snapshot.files) {
      yield encodeHeader({ name, size }, createdAt);
      for await (const chunk of chunks()) {
        signal?.throwIfAborted();
        yield chunk;
        done += chunk.length;
        onProgress?.(done, total);
      }
      yield paddingOf(size);
    }
    yield endOfArchive();
  }

  const hash = createHash("sha256");
  let bytes = 0;
  let sha256 = "";
  await replaceFile(
    to,
    async (target) => {
      for await (const chunk of await seal(archive(), sealing, workFactor)) {
        hash.update(chunk);
        bytes += chunk.length;
        await target.appendFile(chunk);
      }
      sha256 = hash.digest("hex");
      await target.sync();
      // The log first: a backup that it does not know could leave the machine.
      const detail = `sha256 ${sha256}, ${bytes} bytes, generation ${slotGeneration}`;
      await vault.audit.append({ action: "backup.create", target: vaultId, detail });
    },
    { durable: true },
  );
  return { manifest, bytes, sha256 };
};

const hashFiles = async (
  { files }: Snapshot,
  signal: AbortSignal | undefined,
): Promise<ManifestEntry[]> => {
  const entries: ManifestEntry[] = [];
  for (const { name, size, chunks } of files) {
    const hash = createHash("sha256");
    for await (const chunk of chunks()) {
      signal?.throwIfAborted();
      hash.update(chunk);
    }
    entries.push({ name, size, sha256: hash.digest("hex") });
  }
  return entries;
};

import { createHash } from "node:crypto";
import { type FileHandle, open as openFile } from "node:fs/promises";
import { CryptoError, concat } from "@lango/crypto-core";
import { fileError, parseKeyslots } from "@lango/envelope";
import { type OpenedBy, type Opening, open, readOpenedBy } from "./age.ts";
import { type ByteReader, createByteReader } from "./byte-reader.ts";
import type { OnProgress } from "./create.ts";
import {
  MANIFEST_NAME,
  MAX_MANIFEST_BYTES,
  type Manifest,
  type ManifestEntry,
  parseManifest,
  type SignedManifest,
} from "./manifest.ts";
import { malformed, paddingOf, readHeader } from "./tar.ts";

const CHUNK_BYTES = 256 * 1024;

/** What `readBackup` takes. */
export interface ReadBackupOptions {
  readonly file: string;
  readonly opening: Opening;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where the content of a backup goes. */
export interface BackupSink {
  /** Sees the manifest before anything else is read. */
  begin(manifest: Manifest): Promise<void>;
  /** Takes one file. It must read all of `pieces`; what it made of them counts only when the whole backup was read. */
  file(entry: ManifestEntry, pieces: AsyncIterable<Uint8Array>): Promise<void>;
}

/**
 * Reads a backup to its last byte and checks all that can be checked without the vault's key: what age authenticates, the
 * form of the archive, and that each file has the size and the hash of the manifest.
 *
 * @throws {@link CryptoError} as `open` of age.ts; `ERR_MALFORMED_ENVELOPE` and `ERR_INTEGRITY` for what is not as a backup
 *   is; `ERR_CONFLICT` for one of a newer lango; `ERR_NOT_FOUND` and `ERR_ACCESS_DENIED` for the file.
 */
export const readBackup = (
  { file, ...options }: ReadBackupOptions,
  sink: BackupSink,
): Promise<SignedManifest> =>
  withFile(file, async (handle, size) => {
    const reader = createByteReader(open(chunksOf(handle), options.opening));
    const signed = await readManifest(reader);
    const { entries } = signed.manifest;
    const total = entries.reduce((sum, entry) => sum + entry.size, 0);
    // Nothing is compressed: whoever declares more than is there wants to fill a disk.
    if (total > size) throw malformed("it declares more than it holds");
    await sink.begin(signed.manifest);
    let done = 0;
    const tick = (length: number): void => {
      options.signal?.throwIfAborted();
      done += length;
      options.onProgress?.(done, total);
    };
    for (const entry of entries) await readEntry(reader, entry, signed.manifest, sink, tick);
    const more = await readHeader(reader);
    if (more) throw malformed(`it holds ${JSON.stringify(more.name)}, which its manifest lacks`);
    return signed;
  });

/** How a backup opens. @throws {@link CryptoError} `ERR_MALFORMED_ENVELOPE`, and as {@link readBackup} for the file. */
export const openedBy = (file: string): Promise<OpenedBy> =>
  withFile(file, (handle) => readOpenedBy(chunksOf(handle)));

const chunksOf = (file: FileHandle): AsyncIterable<Uint8Array> =>
  file.createReadStream({ autoClose: false, highWaterMark: CHUNK_BYTES });

const withFile = async <T>(
  file: string,
  use: (handle: FileHandle, size: number) => Promise<T>,
): Promise<T> => {
  let handle: FileHandle | undefined;
  try {
    handle = await openFile(file, "r");
    const stat = await handle.stat();
    if (!stat.isFile()) {
      throw new CryptoError("ERR_INVALID_ARGUMENT", `${file} is no regular file`);
    }
    return await use(handle, stat.size);
  } catch (error) {
    throw fileError("read", file, error);
  } finally {
    await handle?.close();
  }
};

const readManifest = async (reader: ByteReader): Promise<SignedManifest> => {
  const header = await readHeader(reader);
  if (header?.name !== MANIFEST_NAME) throw malformed(`it does not begin with ${MANIFEST_NAME}`);
  if (header.size > MAX_MANIFEST_BYTES) throw malformed("its manifest is too large");
  const signed = parseManifest(await reader.exactly(header.size));
  await reader.exactly(paddingOf(header.size).length);
  return signed;
};

const readEntry = async (
  reader: ByteReader,
  entry: ManifestEntry,
  manifest: Manifest,
  sink: BackupSink,
  tick: (length: number) => void,
): Promise<void> => {
  const header = await readHeader(reader);
  if (header?.name !== entry.name || header.size !== entry.size) {
    throw malformed(`${entry.name} is not where its manifest says`);
  }
  const hash = createHash("sha256");
  const kept: Uint8Array[] = [];
  const keeps = entry.name === "keyslots.json";
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for await (const piece of reader.pieces(entry.size)) {
      hash.update(piece);
      if (keeps) kept.push(piece.slice());
      tick(piece.length);
      yield piece;
    }
  }
  await sink.file(entry, pieces());
  if (hash.digest("hex") !== entry.sha256) {
    throw new CryptoError("ERR_INTEGRITY", `${entry.name} of the backup is not as it was made`);
  }
  if (keeps) checkKeyslots(concat(...kept), manifest);
  await reader.exactly(paddingOf(entry.size).length);
};

const checkKeyslots = (bytes: Uint8Array, { vaultId, slotGeneration }: Manifest): void => {
  const keyslots = parseKeyslots(bytes);
  if (keyslots.vaultId === vaultId && keyslots.generation === slotGeneration) return;
  throw new CryptoError(
    "ERR_INTEGRITY",
    `The backup mixes two vaults or two states of one: its manifest is of vault ${vaultId}, generation ${slotGeneration}, its keyslots.json of vault ${keyslots.vaultId}, generation ${keyslots.generation}`,
  );
};

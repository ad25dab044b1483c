import { rename, stat } from "node:fs/promises";
import { isCryptoError, utf8 } from "@lango/crypto-core";
import { type JsonValue, jcs, parseJsonStrict } from "@lango/envelope";
import type { Store } from "@lango/store";
import { appendSynced } from "../append-file.ts";
import { readSmallFile } from "../files.ts";
import type { HomePaths } from "../keyslots-file.ts";
import type { AuditAnchor } from "../types.ts";
import { anchorOf } from "./anchor.ts";

// The copy of the anchors that is not in the database: whoever cuts rows off must change this file as well, and every
// machine that it was sent to.

/** About 2,000 anchors; as many again are kept in the file before. */
export const MAX_FILE_BYTES: number = 1024 * 1024;
const MAX_LINE_BYTES = 8192;

/** What is known outside the database. */
export interface OutsideAnchors {
  readonly anchors: readonly AuditAnchor[];
  /** Lines that are no anchors. */
  readonly unreadable: number;
}

/** Adds an anchor to the file, whole and on the disk. A full file first becomes the file before. */
export const appendAnchor = async (
  store: Pick<Store, "withLock">,
  paths: Pick<HomePaths, "anchors" | "anchorsBefore">,
  anchor: AuditAnchor,
): Promise<void> => {
  const line = `${jcs({ ...anchor })}\n`;
  if (await isFull(paths.anchors)) {
    // Two processes that rotate at once would drop a full file.
    await store.withLock(async () => {
      if (await isFull(paths.anchors)) await rename(paths.anchors, paths.anchorsBefore);
    });
  }
  await appendSynced(paths.anchors, async ({ size, handle }) => {
    // A line that a power cut left unfinished stays by itself.
    const last = new Uint8Array(1);
    if (size > 0) await handle.read(last, 0, 1, size - 1);
    return { bytes: utf8(size > 0 && last[0] !== NEWLINE ? `\n${line}` : line) };
  });
};

const NEWLINE = 0x0a;

const isFull = async (path: string): Promise<boolean> => {
  try {
    return (await stat(path)).size >= MAX_FILE_BYTES;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
};

/** Reads both files, the older one first. */
export const readAnchors = async (
  paths: Pick<HomePaths, "anchors" | "anchorsBefore">,
): Promise<OutsideAnchors> => {
  const anchors: AuditAnchor[] = [];
  let unreadable = 0;
  for (const path of [paths.anchorsBefore, paths.anchors]) {
    const bytes = await readSmallFile(path, 2 * MAX_FILE_BYTES);
    if (bytes === undefined) continue;
    for (const line of new TextDecoder().decode(bytes).split("\n")) {
      if (line === "") continue;
      const anchor = parseAnchor(line);
      if (anchor) anchors.push(anchor);
      else unreadable += 1;
    }
  }
  return { anchors, unreadable };
};

const parseAnchor = (line: string): AuditAnchor | undefined => {
  let value: JsonValue;
  try {
    value = parseJsonStrict(line, { maxBytes: MAX_LINE_BYTES });
  } catch (error) {
    if (isCryptoError(error)) return undefined;
    throw error;
  }
  const anchor = anchorOf(value);
  const { ts, vaultId } = (value ?? {}) as Readonly<Record<string, JsonValue>>;
  if (!anchor || typeof ts !== "number" || typeof vaultId !== "string") return undefined;
  return { ...anchor, ts, vaultId };
};

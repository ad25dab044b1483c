import { createHmac, type KeyObject } from "node:crypto";
import {
  type Bytes,
  bytesEqual,
  fromHex,
  isCryptoError,
  toHex,
  toPlain,
  utf8,
} from "@lango/crypto-core";
import { type JsonValue, parseJsonStrict, parts } from "@lango/envelope";
import { u64 } from "../names.ts";

// The rows of reads that could not be committed, a line each. The first line names the segment; the MAC of a line covers
// the MAC of the line before, so that lines can be neither changed, nor left out, nor put into another segment. Only its
// end can be cut.

/** A segment as far as it is sound. */
export interface Segment {
  /** 24 hex characters. */
  readonly id: string;
  /** The last row of the log when the segment was begun. */
  readonly after: number;
  /** JCS texts, oldest first. */
  readonly entries: readonly string[];
  /** Of the last sound line. */
  readonly mac: Bytes;
}

/** What a spool file holds. */
export interface SpoolContent {
  /** Absent when not even the first line is sound. */
  readonly segment?: Segment | undefined;
  /** Bytes up to the last whole line. What follows was never finished, and what it was about never released. */
  readonly wholeBytes: number;
  /** The first line, from 1, that is not as lango wrote it. */
  readonly damagedLine?: number | undefined;
}

const SPOOL = utf8("lango/v1/audit-spool");
const NEWLINE = 0x0a;
/** An entry is at most 1 MiB, twice as long when every character of it is escaped. */
const MAX_LINE_BYTES = 2 * 1024 * 1024 + 1024;

/** mac = HMAC(audit key, parts(`lango/v1/audit-spool`, vault id, segment id, after as u64)). */
const firstMac = (key: KeyObject, vaultId: Uint8Array, id: string, after: number): Bytes =>
  hmac(key, parts(SPOOL, vaultId, utf8(id), u64(after)));

/** mac = HMAC(audit key, parts(`lango/v1/audit-spool`, MAC of the line before, entry)). */
const nextMac = (key: KeyObject, previous: Uint8Array, entry: string): Bytes =>
  hmac(key, parts(SPOOL, previous, utf8(entry)));

const hmac = (key: KeyObject, bytes: Uint8Array): Bytes =>
  toPlain(createHmac("sha256", key).update(bytes).digest());

/** Begins a segment: what it is, and its first line. */
export const beginSegment = (
  key: KeyObject,
  vaultId: Uint8Array,
  id: string,
  after: number,
): { readonly segment: Segment; readonly text: string } => {
  const mac = firstMac(key, vaultId, id, after);
  const text = `${JSON.stringify({ after, mac: toHex(mac), segment: id })}\n`;
  return { segment: { id, after, entries: [], mac }, text };
};

/** The segment with entries added, and their lines. */
export const addToSegment = (
  key: KeyObject,
  segment: Segment,
  entries: readonly string[],
): { readonly segment: Segment; readonly text: string } => {
  let { mac } = segment;
  let text = "";
  for (const entry of entries) {
    mac = nextMac(key, mac, entry);
    text += `${JSON.stringify({ entry, mac: toHex(mac) })}\n`;
  }
  return { segment: { ...segment, entries: [...segment.entries, ...entries], mac }, text };
};

/** Reads a spool file as far as its MACs are right. Without the key they are taken as they are. */
export const parseSpool = (
  bytes: Uint8Array,
  key: KeyObject | undefined,
  vaultId: Uint8Array,
): SpoolContent => {
  const wholeBytes = bytes.lastIndexOf(NEWLINE) + 1;
  const lines = new TextDecoder().decode(bytes.subarray(0, wholeBytes)).split("\n").slice(0, -1);
  const [first, ...others] = lines.map(parseLine);
  if (lines.length === 0) return { wholeBytes };
  const { segment: id, after, mac: claimed } = first ?? {};
  const mac = macOf(claimed);
  if (typeof id !== "string" || typeof after !== "number" || !Number.isSafeInteger(after) || !mac) {
    return { wholeBytes, damagedLine: 1 };
  }
  if (key && !bytesEqual(firstMac(key, vaultId, id, after), mac)) {
    return { wholeBytes, damagedLine: 1 };
  }
  const entries: string[] = [];
  let previous = mac;
  for (const [index, line] of others.entries()) {
    const { entry, mac: next } = line ?? {};
    const found = macOf(next);
    const sound =
      typeof entry === "string" &&
      found !== undefined &&
      (!key || bytesEqual(nextMac(key, previous, entry), found));
    if (!sound) {
      const segment = { id, after, entries, mac: previous };
      return { segment, wholeBytes, damagedLine: index + 2 };
    }
    entries.push(entry);
    previous = found;
  }
  return { segment: { id, after, entries, mac: previous }, wholeBytes };
};

type Line = Readonly<Record<string, JsonValue>>;

const parseLine = (line: string): Line | undefined => {
  try {
    const value = parseJsonStrict(line, { maxBytes: MAX_LINE_BYTES });
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Line) : undefined;
  } catch (error) {
    if (isCryptoError(error)) return undefined;
    throw error;
  }
};

const macOf = (value: JsonValue | undefined): Bytes | undefined =>
  typeof value === "string" ? fromHex(value) : undefined;

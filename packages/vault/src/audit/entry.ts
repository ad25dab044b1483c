import { type CryptoErrorCode, isCryptoError } from "@lango/crypto-core";
import { type JsonValue, jcs, parseJsonStrict } from "@lango/envelope";
import type { AuditActor, AuditEvent } from "../types.ts";
import { anchorOf, type ChainAnchor } from "./anchor.ts";

/** A row that a change wrote: table, row, and SHA-256 of it in hex, or null when it was removed. */
export type RowChange = readonly [table: string, row: string, hash: string | null];

/** One of the reads of a moment: what was done, to what, and to which version of it. */
export type Use = readonly [action: string, target: string, version: number | null];

/** What a row of the audit chain says; its JCS text is what is hashed. Names only, never a value. */
export interface AuditEntry {
  readonly ts: number;
  readonly actor: AuditActor;
  readonly action: string;
  readonly outcome: "success" | "failure";
  readonly target?: string | undefined;
  readonly version?: number | undefined;
  readonly code?: CryptoErrorCode | undefined;
  readonly detail?: string | undefined;
  /** What an approval, a grant or a handle is about. */
  readonly about?: Readonly<Record<string, string | undefined>> | undefined;
  /** Rows that were written in the same transaction. */
  readonly rows?: readonly RowChange[] | undefined;
  /** Reads that share this row; `action` then is `use`. */
  readonly uses?: readonly Use[] | undefined;
  /** A signature over an earlier row; `action` then is `audit.anchor`. */
  readonly anchor?: ChainAnchor | undefined;
  /** How many entries of a spool file are in the chain so far; `action` then is `audit.spool`. */
  readonly spool?: { readonly segment: string; readonly entries: number } | undefined;
  /** Only ever false: noted while nobody had the key. */
  readonly authenticated?: false | undefined;
}

export const encodeEntry = (entry: AuditEntry): string => {
  const defined = Object.entries(entry).filter(([, value]) => value !== undefined);
  const { kind, pid, uid, source } = entry.actor;
  const actor = uid === undefined ? { kind, pid, source } : { kind, pid, source, uid };
  return jcs({ ...(Object.fromEntries(defined) as Record<string, JsonValue>), actor });
};

/** Far above what the log writes: an entry lists at most 256 uses with names of at most 256 characters. */
const MAX_ENTRY_BYTES = 1024 * 1024;

/** Reads an entry back; `undefined` for text that the log did not write. */
export const decodeEntry = (text: string): AuditEntry | undefined => {
  try {
    const value = parseJsonStrict(text, { maxBytes: MAX_ENTRY_BYTES });
    return isEntry(value) ? (value as unknown as AuditEntry) : undefined;
  } catch (error) {
    if (isCryptoError(error)) return undefined;
    throw error;
  }
};

const isEntry = (value: JsonValue): boolean => {
  if (!isObject(value) || !isObject(value["actor"])) return false;
  const { ts, action, outcome, rows = [], uses = [] } = value;
  return (
    typeof ts === "number" &&
    typeof action === "string" &&
    (outcome === "success" || outcome === "failure") &&
    (value["about"] === undefined || isRecordOfTexts(value["about"])) &&
    isListOfTriples(rows) &&
    isListOfTriples(uses) &&
    (value["anchor"] === undefined || anchorOf(value["anchor"]) !== undefined) &&
    (value["spool"] === undefined || isSpoolMark(value["spool"]))
  );
};

const isSpoolMark = (value: JsonValue): boolean =>
  isObject(value) && typeof value["segment"] === "string" && typeof value["entries"] === "number";

const isRecordOfTexts = (value: JsonValue): boolean =>
  isObject(value) && Object.values(value).every((text) => typeof text === "string");

const isObject = (value: JsonValue | undefined): value is { readonly [key: string]: JsonValue } =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isListOfTriples = (value: JsonValue | undefined): boolean =>
  Array.isArray(value) &&
  value.every(
    (item) => Array.isArray(item) && typeof item[0] === "string" && typeof item[1] === "string",
  );

/** The events of one row: one for each read of a row that lists reads, else one. */
export const eventsOf = (seq: number, entry: AuditEntry): AuditEvent[] => {
  const { ts, actor, outcome, target, version, code, detail } = entry;
  if (entry.uses) {
    return entry.uses.map(([action, used, usedVersion]) => ({
      ...{ seq, ts, actor, action, target: used, outcome, authenticated: true },
      ...(usedVersion === null ? {} : { version: usedVersion }),
    }));
  }
  const authenticated = entry.authenticated !== false;
  const about = entry.about as AuditEvent["about"];
  return [
    {
      ...{ seq, ts, actor, action: entry.action, target, version, outcome, code, detail },
      ...(about === undefined ? {} : { about }),
      authenticated,
    },
  ];
};

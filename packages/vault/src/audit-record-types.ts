import type { AuditEvent } from "./types.ts";

/** An {@link AuditEvent} with what proves it. */
export interface AuditRecord extends AuditEvent {
  /** Number of the event in its row, from 0: several reads of one moment share a row. */
  readonly part: number;
  /** Hash of the row, 64 hex characters, which covers all rows before. */
  readonly hash: string;
}
/** Which rows `Audit.records` reads. */
export interface RecordsOptions {
  /** The first row. Default is 1. */
  readonly from?: number | undefined;
  /** The last row. Default: the newest one at the call. */
  readonly to?: number | undefined;
  /** Leaves out what is older, in milliseconds since the epoch. Default: nothing. */
  readonly since?: number | undefined;
}

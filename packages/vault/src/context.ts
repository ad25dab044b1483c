import type { Bytes } from "@lango/crypto-core";
import type { VaultKeys } from "@lango/envelope";
import type { Store } from "@lango/store";
import type { AuditLog } from "./audit/log.ts";
import type { UseCounters } from "./use-counters.ts";

/** What every part of an open vault works with. */
export interface VaultContext {
  readonly store: Store;
  /** 16 bytes. */
  readonly vaultId: Bytes;
  readonly keys: VaultKeys;
  readonly log: AuditLog;
  readonly counters: UseCounters;
  readonly clock: () => number;
}

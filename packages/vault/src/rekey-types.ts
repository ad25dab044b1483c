import type { SlotCredential } from "@lango/envelope";
import type { SlotSummary } from "./slot-types.ts";
import type { Vault } from "./types.ts";

/** A slot that stays, with what it is made from anew. */
export interface RekeyCredential {
  /** The id of the slot. */
  readonly slotId: string;
  /** Of the slot's kind; its label is the slot's where it has none. The caller zeroes the secret in it. */
  readonly credential: SlotCredential;
  /** The credential is another one than the slot has now. Default false: it must open the slot. */
  readonly isNew?: boolean | undefined;
}

export interface RekeyOptions {
  readonly credentials: readonly RekeyCredential[];
  /** The ids of the slots that go, because nobody has their credential at hand. Default: none. */
  readonly drop?: readonly string[] | undefined;
  /** Slots in addition, such as one of new recovery words. */
  readonly add?: readonly SlotCredential[] | undefined;
  /**
   * For whoever may have had the old vault key: the key of the rows' MACs and that of approvals are new too, and every
   * grant and handle goes. Rows are under either until `rotation` has written all of them anew. Default false.
   */
  readonly compromised?: boolean | undefined;
  /** With {@link compromised}: goes on although rows or log are not as the log says. See {@link RenewOptions.acceptFaults}. Default false. */
  readonly acceptFaults?: boolean | undefined;
}

export interface RekeyResult {
  /** The vault, open with its new key. The one whose `rekey` was called is closed. */
  readonly vault: Vault;
  readonly generation: number;
  /** Those that were made, in the order of `credentials` and then of `add`. */
  readonly slots: readonly SlotSummary[];
  readonly dropped: readonly SlotSummary[];
  /** How many data keys and versions of local keys were sealed anew. */
  readonly keys: number;
  /** Sentences that say who still has what. */
  readonly notRevoked: readonly string[];
}

export interface RenewOptions {
  readonly onProgress?:
    | ((progress: { readonly done: number; readonly total: number }) => void)
    | undefined;
  /** Ends it between two batches; what was done stays done. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Takes rows under the former key as they are. Whoever had that key may have written them, which shows in that the log does not say
   * the same: by default they get no new MAC. That it was done so is in the log. Default false.
   */
  readonly acceptFaults?: boolean | undefined;
}

export interface RenewResult {
  /** Rows that this call wrote anew. */
  readonly rows: number;
}

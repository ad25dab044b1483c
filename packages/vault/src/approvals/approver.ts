import { type Bytes, CryptoError } from "@lango/crypto-core";
import type { Approvals, Approver } from "../approval-types.ts";
import type { VaultContext } from "../context.ts";
import { auditFailure } from "../failures.ts";
import type { Gate } from "../gate.ts";
import type { HomePaths } from "../keyslots-file.ts";
import { settle } from "../slot-file-state.ts";
import { passphraseSlot } from "../slots.ts";

const VALID_MS = 60_000;

/** Returns the approver. @throws {@link CryptoError} `ERR_DENIED` without one, or with one from longer ago than a minute. */
export type CheckApprover = (approver: Approver | undefined) => Approver;

export interface Approvers {
  readonly approver: Approvals["approver"];
  readonly check: CheckApprover;
}

export const createApprovers = (
  context: VaultContext,
  paths: HomePaths,
  vaultKey: Bytes,
  gate: Gate,
): Approvers => {
  /** Those that were made here, with the time of a clock that nobody sets. */
  const made = new WeakMap<Approver, number>();

  const prove = async (passphrase: Uint8Array): Promise<void> => {
    // Slots that are not this vault's, or from earlier, with a passphrase that was changed, are found out by this.
    const { keyslots } = await context.store.withLock(() => settle(context, paths, vaultKey));
    if (!keyslots.slots.some(({ kind }) => kind === "passphrase")) {
      throw new CryptoError(
        "ERR_DENIED",
        "No passphrase opens this vault, so none tells an approver",
      );
    }
    await passphraseSlot(keyslots, passphrase, "The passphrase");
  };

  return {
    approver: (passphrase) =>
      gate.run(async () => {
        try {
          await prove(passphrase);
        } catch (error) {
          await auditFailure(context.log, { action: "approval.approver" }, error);
          throw error;
        }
        const approver: Approver = Object.freeze({ by: "passphrase" });
        made.set(approver, performance.now());
        return approver;
      }),

    check(approver) {
      const at = approver && made.get(approver);
      if (approver && at !== undefined && performance.now() - at <= VALID_MS) return approver;
      throw new CryptoError("ERR_DENIED", "What loosens a policy needs an approver", {
        context: { hint: "Run it at a terminal and type the passphrase there" },
      });
    },
  };
};

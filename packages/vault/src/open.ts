import { zero } from "@lango/crypto-core";
import { canSpool } from "./audit/log.ts";
import { removeLeftCopy } from "./backup/left-copy.ts";
import { adoptNewerKeys } from "./env-slots.ts";
import { upgradeKdf } from "./kdf-upgrade.ts";
import { explained, openContext } from "./open-context.ts";
import type { KnownKey } from "./opener.ts";
import { isSettled, settle } from "./slot-file-state.ts";
import type { OpenVaultOptions, Vault } from "./types.ts";
import { foldUnlockFailures } from "./unlock-failures.ts";
import { assembleVault } from "./vault.ts";

/**
 * Opens a vault: finds a credential, opens a slot with it, and checks that slots and database belong together and that
 * neither was brought back from earlier.
 *
 * @throws {@link CryptoError}
 *   - `ERR_LOCKED`: no vault here, or nothing to open it with (from `unlock`).
 *   - `ERR_WRONG_PASSPHRASE`: the credential opens no slot. Noted, and in the log from the next opening on.
 *   - `ERR_INTEGRITY`, `ERR_MALFORMED_ENVELOPE`: a damaged or altered file, or two of different vaults.
 *   - `ERR_KEYSLOTS_ROLLED_BACK`, `ERR_STORE_ROLLED_BACK`: one of the two is from earlier.
 *   - `ERR_ACCESS_DENIED`: the paired device that opened the slot is suspended. One that is not known is `ERR_INTEGRITY`.
 *   - `ERR_CONFLICT`: a file without the other; another lango holds the lock.
 *   - as `openStore` of `@lango/store`.
 */
export const openVault = (options: OpenVaultOptions): Promise<Vault> => openWith(options);

/** {@link openVault}, and with a vault key that is at hand, after it was changed. */
export const openWith = async (options: OpenVaultOptions, known?: KnownKey): Promise<Vault> => {
  const { home, providers = {}, fallbackToLocal, audit, database } = options;
  const opened = await openContext(options, known);
  const { paths, file, row, context, spool, vaultKey, unlockedBy, forUpgrade, newer } = opened;
  try {
    // Also when another process was between file and row just now: then the lock is free in a moment.
    if (!(await isSettled(row, paths, file))) {
      await context.store.withLock(() => settle(context, paths, vaultKey));
    }
    await removeLeftCopy(context, paths);
    try {
      await spool.fold();
      await foldUnlockFailures(context, paths);
    } catch (error) {
      // They stay in their files.
      if (audit?.onFailure !== "spool" || !canSpool(error)) throw error;
    }
    if (forUpgrade) await upgradeKdf(context, paths, vaultKey, forUpgrade);
    zero(forUpgrade);
    if (newer.length > 0) await adoptNewerKeys({ context, paths, vaultKey }, newer);
    zero(...newer.map(({ key }) => key));
    await context.log.commitRead({ action: "vault.unlock", target: unlockedBy.kind });
    const reopen = (next: KnownKey): Promise<Vault> => openWith(options, next);
    return assembleVault({
      ...{ home, providers, fallbackToLocal, audit, database },
      ...{ ...opened, reopen },
    });
  } catch (error) {
    await opened.fail(error);
    throw await explained(error, paths, file);
  }
};

import { createSecretKey } from "node:crypto";
import { type Bytes, CryptoError, fromHex, isCryptoError, zero } from "@lango/crypto-core";
import {
  deriveVaultKeys,
  type Keyslots,
  openSlot,
  openValue,
  type VaultKeys,
} from "@lango/envelope";
import type { Store, VaultRow } from "@lango/store";
import type { Credential, SlotInfo, UnlockResult } from "@lango/unlock";
import { type AuditKey, auditKeyAad } from "./audit/chain.ts";
import { createAuditLog } from "./audit/log.ts";
import type { VaultContext } from "./context.ts";
import { checkSameVault, noVault, openDatabase } from "./home.ts";
import { keepForUpgrade, upgradeKdf } from "./kdf-upgrade.ts";
import { homePaths, readKeyslots } from "./keyslots-file.ts";
import { checkRow } from "./rows.ts";
import { isSettled, settle, vaultRow } from "./slot-file-state.ts";
import type { OpenVaultOptions, Vault } from "./types.ts";
import { foldUnlockFailures, noteUnlockFailure, wrongCredential } from "./unlock-failures.ts";
import { createUseCounters } from "./use-counters.ts";
import { assembleVault } from "./vault.ts";

/**
 * Opens a vault: finds a credential, opens a slot with it, and checks that slots and database belong together and that
 * neither was brought back from earlier.
 *
 * @throws {@link CryptoError}
 *   - `ERR_LOCKED`: no vault here, or nothing to open it with (from `unlock`).
 *   - `ERR_WRONG_PASSPHRASE`: the credential opens no slot. Noted, and in the log from the next opening on.
 *   - `ERR_INTEGRITY`, `ERR_MALFORMED_ENVELOPE`: a damaged or altered file.
 *   - `ERR_KEYSLOTS_ROLLED_BACK`, `ERR_STORE_ROLLED_BACK`: one of the two is from earlier.
 *   - `ERR_CONFLICT`: files that do not belong together; another lango holds the lock.
 *   - as `openStore` of `@lango/store`.
 */
export const openVault = async (options: OpenVaultOptions): Promise<Vault> => {
  const { home, clock = Date.now, providers = {}, audit } = options;
  if (audit?.onFailure === "spool") {
    throw new CryptoError("ERR_UNSUPPORTED", "audit.onFailure can only be deny so far");
  }
  const paths = homePaths(home);
  const file = await readKeyslots(paths);
  if (!file) throw await noVault(home);

  const { credential, skipped } = await obtain(options, file.keyslots);
  const { kind, source, ambient } = credential;
  const forUpgrade = keepForUpgrade(file.keyslots, credential);
  let store: Store | undefined;
  let keys: VaultKeys | undefined;
  let opened: Bytes | undefined;
  try {
    const vaultKey = await openAnySlot(file.keyslots, credential);
    opened = vaultKey;
    store = await openDatabase(paths, "open");
    const vaultId = fromHex(file.keyslots.vaultId) ?? new Uint8Array();
    keys = deriveVaultKeys(vaultKey, vaultId);
    const row = await vaultRow(store);
    checkSameVault(row, file);
    checkRow(keys.rows, "vault", row);
    const auditKey = openAuditKey(keys, vaultId, row);
    const log = createAuditLog({ store, auditKey, clock, source });
    const counters = createUseCounters({ store, clock });
    const context: VaultContext = { store, vaultId, keys, log, counters, clock };
    // Also when another process was between file and row just now: then the lock is free in a moment.
    if (!(await isSettled(row, paths, file))) {
      await store.withLock(() => settle(context, paths, vaultKey));
    }
    await foldUnlockFailures(context, paths);
    if (forUpgrade) await upgradeKdf(context, paths, vaultKey, forUpgrade);
    await log.commit("normal", { action: "vault.unlock", target: kind });
    const unlockedBy = { kind, source, ambient, skipped };
    return assembleVault({ home, paths, context, auditKey, vaultKey, providers, unlockedBy });
  } catch (error) {
    keys?.destroy();
    zero(opened);
    await store?.close();
    await noteUnlockFailure(paths, source, error, clock());
    throw error;
  } finally {
    zero(forUpgrade);
  }
};

const obtain = ({ unlock }: OpenVaultOptions, { slots }: Keyslots): Promise<UnlockResult> => {
  const infos = slots.map(
    ({ id, kind, label }): SlotInfo => ({ id, kind, ...(label === undefined ? {} : { label }) }),
  );
  return typeof unlock === "function" ? unlock(infos) : unlock.obtain(infos);
};

/** Tries a credential on the slots that it is for. Its secret is zeroed. */
const openAnySlot = async (
  keyslots: Keyslots,
  { secret, slotIds, source }: Credential,
): Promise<Bytes> => {
  let wrong: unknown;
  try {
    for (const slot of keyslots.slots) {
      if (!slotIds.includes(slot.id)) continue;
      try {
        return await openSlot(keyslots, slot, secret);
      } catch (error) {
        if (!isCryptoError(error) || error.code !== "ERR_WRONG_PASSPHRASE") throw error;
        wrong = error;
      }
    }
    throw wrongCredential(source, wrong);
  } finally {
    zero(secret);
  }
};

const openAuditKey = (keys: VaultKeys, vaultId: Bytes, row: VaultRow): AuditKey => {
  const material = openValue(keys.wrap, row.auditKey, auditKeyAad(vaultId, row.auditEpoch));
  try {
    return { key: createSecretKey(material), epoch: row.auditEpoch };
  } finally {
    zero(material);
  }
};

import { rename } from "node:fs/promises";
import { basename } from "node:path";
import { CryptoError } from "@lango/crypto-core";
import { buildKeyslots, type Keyslots, parseKeyslots, verifyKeyslots } from "@lango/envelope";
import type { VaultRow } from "@lango/store";
import type { VaultContext } from "./context.ts";
import { type HomePaths, readKeyslots } from "./keyslots-file.ts";
import { distrustOlderRows, retireDataKeys } from "./older-rows.ts";
import { openContext } from "./open-context.ts";
import { isBefore, type Pin, readPin } from "./pins.ts";
import { giveUpRekey } from "./rekey-job.ts";
import { checkRow } from "./rows.ts";
import { settle, standing, vaultRow, writeKeyslots } from "./slot-file-state.ts";
import type { AcceptedRollback, AcceptRollbackOptions } from "./types.ts";

/**
 * Goes on with a `keyslots.json` or a `lango.db` from earlier, when no better copy is left: the slots of the file stay, with
 * a generation above both, and every data key becomes decrypt-only, because an older database has forgotten what was sealed
 * with them; and every paired device of an older database is suspended until a person confirms it. The log says so. What was written or revoked meanwhile is lost or in force again: that is what is accepted.
 *
 * Whenever the process dies, the files are as before or done; it can be called again. Files that fit are left as they are.
 *
 * @throws {@link CryptoError} as `openVault`, but for the two rollbacks; `ERR_INTEGRITY` when a file is damaged or altered,
 *   which is another matter than old.
 */
export const acceptRollback = async (options: AcceptRollbackOptions): Promise<AcceptedRollback> => {
  const opened = await openContext(options);
  const { context, paths, vaultKey } = opened;
  try {
    const accepted = await context.store.withLock(() => accept(context, paths, vaultKey));
    await opened.discard();
    return accepted;
  } catch (error) {
    await opened.fail(error);
    throw error;
  }
};

const accept = async (
  context: VaultContext,
  paths: HomePaths,
  vaultKey: Uint8Array,
): Promise<AcceptedRollback> => {
  const file = await readKeyslots(paths);
  if (!file) throw new CryptoError("ERR_CONFLICT", `${paths.keyslots} is gone`);
  const { keyslots } = file;
  verifyKeyslots(vaultKey, keyslots);
  const row = await vaultRow(context.store);
  checkRow(context.keys.rows, "vault", row);
  if (row.pendingMac !== null) await giveUpRekey(context, row, keyslots);
  const pin = paths.slotRow && (await readPin(paths.pins, keyslots.vaultId));
  const found = isBefore(pin, keyslots) ? "newer" : standing(row, keyslots);
  if (found !== "older" && found !== "newer") {
    await settle(context, paths, vaultKey);
    return { older: "none", generation: keyslots.generation, retiredDataKeys: 0, setAside: [] };
  }
  const older = found === "older" ? "keyslots" : "store";
  const next = buildKeyslots(vaultKey, {
    vaultId: keyslots.vaultId,
    generation: nextGeneration(row, keyslots, pin),
    slots: keyslots.slots,
    inherited: keyslots.inherited,
  });
  let retiredDataKeys = 0;
  await writeKeyslots(
    context,
    paths,
    next,
    async (written) => verifyKeyslots(vaultKey, parseKeyslots(written)),
    {
      action: "vault.accept-rollback",
      target: older,
      detail: `keyslots.json was generation ${keyslots.generation}, the database ${row.slotGeneration}; now ${next.generation}`,
    },
    async (tx) => {
      const changes =
        older === "keyslots"
          ? { dataKeys: await retireDataKeys(context, tx), companions: [], permits: [] }
          : await distrustOlderRows(context, tx);
      retiredDataKeys = changes.dataKeys.length;
      return [...changes.dataKeys, ...changes.companions, ...changes.permits];
    },
  );
  // An older database cannot hold the anchors of a newer one. They are kept, and so are those that were sent elsewhere.
  const setAside = older === "store" ? await setAnchorsAside(paths, next.generation) : [];
  return { older, generation: next.generation, retiredDataKeys, setAside };
};

/** Above everything that either file, or this machine, has seen. */
const nextGeneration = (row: VaultRow, { generation }: Keyslots, pin: Pin | undefined): number =>
  Math.max(row.slotGeneration, row.pendingGeneration ?? 0, generation, pin?.generation ?? 0) + 1;

const setAnchorsAside = async (paths: HomePaths, generation: number): Promise<string[]> => {
  const names: string[] = [];
  for (const path of [paths.anchorsBefore, paths.anchors]) {
    const aside = path.replace(/jsonl$/, `before-generation-${generation}.jsonl`);
    try {
      await rename(path, aside);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") continue;
      throw error;
    }
    names.push(basename(aside));
  }
  return names;
};

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Bytes, fromHex } from "@lango/crypto-core";
import {
  deriveVaultKeys,
  type Keyslots,
  openSlot,
  parseKeyslots,
  type VaultKeys,
} from "@lango/envelope";
import { openStore, type StoreTransaction, type VaultRow } from "@lango/store";
import { expect } from "vitest";
import { withMac } from "../src/rows.ts";
import { bytes, PASSPHRASE } from "./helpers.ts";
import { Sqlite } from "./sqlite.ts";

/** What whoever knows the passphrase can work out from the files alone. */
export interface OpenedKeys {
  readonly keyslots: Keyslots;
  readonly vaultKey: Bytes;
  readonly vaultId: Bytes;
  readonly keys: VaultKeys;
}

export const openKeys = async (home: string): Promise<OpenedKeys> => {
  const keyslots = parseKeyslots(readFileSync(join(home, "keyslots.json")));
  const slot = keyslots.slots.find(({ kind }) => kind === "passphrase");
  const vaultKey = await openSlot(keyslots, slot as never, bytes(PASSPHRASE));
  const vaultId = fromHex(keyslots.vaultId) ?? new Uint8Array();
  return {
    keyslots,
    vaultKey,
    vaultId,
    keys: deriveVaultKeys(vaultKey, vaultId, keyslots.inherited),
  };
};

/** Changes rows past the vault, with sound MACs: only what the rows are used for can find it out. */
export const forge = async (
  home: string,
  change: (tx: StoreTransaction, opened: OpenedKeys) => Promise<void>,
): Promise<void> => {
  const opened = await openKeys(home);
  await using store = await openStore({ file: join(home, "lango.db"), mode: "open" });
  await store.transaction("full", (tx) => change(tx, opened));
};

export const forgeVaultRow = (home: string, change: Partial<VaultRow>): Promise<void> =>
  forge(home, async (tx, { keys }) => {
    const row = (await tx.vault.get()) as VaultRow;
    await tx.vault.update(withMac(keys.rows, "vault", { ...row, ...change }), row.mac);
  });

/** Changes rows as a thief does, who has no key. */
export const edit = (home: string, statement: string): void => {
  const database = new Sqlite(join(home, "lango.db"), {});
  try {
    // Such a writer is not held by our constraints either.
    database.exec("pragma foreign_keys = off; pragma ignore_check_constraints = on");
    expect(database.prepare(statement).run().changes, statement).toBeGreaterThan(0);
  } finally {
    database.close();
  }
};

export const readVaultRow = (home: string): Record<string, unknown> => {
  const database = new Sqlite(join(home, "lango.db"), { readonly: true });
  try {
    return database.prepare("SELECT * FROM vault").get() as Record<string, unknown>;
  } finally {
    database.close();
  }
};

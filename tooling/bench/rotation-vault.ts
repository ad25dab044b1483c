import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { fromHex, toHex } from "@lango/crypto-core";
import {
  createDataKey,
  deriveVaultKeys,
  openSlot,
  openValue,
  parseKeyslots,
  sealValue,
} from "@lango/envelope";
import { openStore } from "@lango/store";
import { createVault } from "@lango/vault";
import { dataKeyAad } from "../../packages/vault/src/data-key-wrap.ts";
import { recordAad, SECRETS } from "../../packages/vault/src/names.ts";
import { withMac } from "../../packages/vault/src/rows.ts";

const PASSPHRASE = "a passphrase for the benchmark";
const VALUE_BYTES = 64;

export const passphrase = (): Uint8Array => new TextEncoder().encode(PASSPHRASE);

export const unlock = async (slots: readonly { readonly id: string }[]) => ({
  credential: {
    kind: "passphrase" as const,
    source: "bench",
    secret: new TextEncoder().encode(PASSPHRASE),
    ambient: false,
    slotIds: slots.map((slot) => slot.id),
  },
  skipped: [],
});

/**
 * A vault with `count` secrets that are all real: each opens under its own name. They go into the database in a few large
 * transactions, past the log, because a million writes one after the other would take an hour.
 */
export const buildSealedVault = async (home: string, count: number): Promise<void> => {
  const credentials = [{ kind: "passphrase" as const, passphrase: passphrase() }];
  await (await createVault({ home, credentials })).close();
  const keyslots = parseKeyslots(readFileSync(path.join(home, "keyslots.json")));
  const vaultKey = await openSlot(keyslots, keyslots.slots[0] as never, passphrase());
  const vaultId = fromHex(keyslots.vaultId)!;
  const keys = deriveVaultKeys(vaultKey, vaultId);
  await using store = await openStore({ file: path.join(home, "lango.db"), mode: "open" });
  const [row] = await store.dataKeys.list();
  const dataKey = createDataKey(
    openValue(keys.wrap, row!.wrapped, dataKeyAad(vaultId, row!.id)),
    fromHex(row!.id)!,
  );
  const PER_TRANSACTION = 10_000;
  for (let from = 0; from < count; from += PER_TRANSACTION) {
    await store.transaction("normal", async (tx) => {
      for (let i = from; i < Math.min(count, from + PER_TRANSACTION); i++) {
        const name = `bench/secret-${String(i).padStart(7, "0")}`;
        const id = toHex(new Uint8Array(randomBytes(12)));
        const secret = withMac(keys.rows, "secrets", {
          ...{ id, collection: SECRETS, name, keyId: row!.keyId, currentVersion: 1 },
          ...{ createdAt: 1, updatedAt: 1, deletedAt: null, uses: 0, lastUsedAt: null },
        });
        const aad = recordAad(vaultId, SECRETS, name, 1);
        const sealed = sealValue(dataKey, randomBytes(VALUE_BYTES), aad);
        const version = { secretId: id, version: 1, dataKeyId: row!.id, size: VALUE_BYTES };
        await tx.secrets.insertSecret(secret, { ...version, sealed, createdAt: 1 });
      }
    });
  }
};

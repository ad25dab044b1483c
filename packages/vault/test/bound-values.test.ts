import { createHmac, createSecretKey } from "node:crypto";
import { join } from "node:path";
import { fromHex, utf8 } from "@lango/crypto-core";
import { openValue, parts, sealValue } from "@lango/envelope";
import type { KeyRow, KeyVersionRow, StoreTransaction, VaultRow } from "@lango/store";
import { openStore } from "@lango/store";
import { describe, expect, test } from "vitest";
import { withMac } from "../src/rows.ts";
import { edit, forge, forgeVaultRow, openKeys } from "./forge.ts";
import { bytes, expectCode, makeVault, newHome, reopen } from "./helpers.ts";

// Each sealed value says in its AAD where it belongs (docs/formats.md). The rows here are forged with sound MACs, so that
// nothing but the AAD is left to refuse them.

const vaultRowOf = async (tx: Pick<StoreTransaction, "vault">): Promise<VaultRow> =>
  (await tx.vault.get()) as VaultRow;

const created = async (): Promise<string> => {
  const home = newHome();
  await (await makeVault(home)).close();
  return home;
};

describe("the audit key", () => {
  test("is sealed for its vault and its epoch, and MACs the chain", async () => {
    const home = await created();
    const { keys, vaultId } = await openKeys(home);
    await using store = await openStore({ file: join(home, "lango.db"), mode: "read" });
    const { auditKey, auditEpoch } = await vaultRowOf(store as never);
    expect(auditEpoch).toBe(1);
    const aad = parts(utf8("lango/v1/audit-key"), vaultId, utf8("1"));
    const key = createSecretKey(openValue(keys.wrap, auditKey, aad));
    for (const { hash, mac } of await store.audit.page(1, 10)) {
      expect(mac).toEqual(new Uint8Array(createHmac("sha256", key).update(hash).digest()));
    }
  });

  test("opens for no other epoch", async () => {
    const home = await created();
    await forgeVaultRow(home, { auditEpoch: 2 });
    await expectCode(() => reopen(home), "ERR_DECRYPTION_FAILED");
  });

  test("is no data key, no key material and no audit key of another vault", async () => {
    const home = await created();
    for (const where of ["data key", "material", "another vault"] as const) {
      let kept: VaultRow | undefined;
      await forge(home, async (tx, { keys, vaultId }) => {
        kept = await vaultRowOf(tx);
        const [key] = await tx.keys.list();
        const [dataKey] = await tx.dataKeys.list();
        const [version] = await tx.keys.listVersions(key!.id);
        const otherId = vaultId.map((byte) => byte ^ 1);
        const aad = parts(utf8("lango/v1/audit-key"), otherId, utf8("1"));
        const auditKey = {
          "data key": dataKey!.wrapped,
          material: version!.sealed!,
          "another vault": sealValue(keys.wrap, new Uint8Array(32), aad),
        }[where];
        await tx.vault.update(withMac(keys.rows, "vault", { ...kept, auditKey }), kept.mac);
      });
      await expectCode(() => reopen(home), "ERR_DECRYPTION_FAILED");
      await forgeVaultRow(home, { auditKey: kept!.auditKey });
    }
    await reopen(home);
  });
});

describe("the material of a local key", () => {
  /** A vault with keys `default` (two versions) and `other`, and what `default` encrypted with each version. */
  const withKeys = async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.keys.create({ name: "other", type: "encryption" });
    await vault.keys.provider().rotateKey!({ keyId: "default" });
    await vault.close();
    return home;
  };
  const versionsOf = async (tx: Pick<StoreTransaction, "keys">, name: string) => {
    const key = (await tx.keys.findByName(name)) as KeyRow;
    return tx.keys.listVersions(key.id);
  };
  const replace = async (
    home: string,
    pick: (tx: StoreTransaction) => Promise<readonly [KeyVersionRow, KeyVersionRow]>,
  ): Promise<void> =>
    forge(home, async (tx, { keys }) => {
      const [row, source] = await pick(tx);
      const forged = withMac(keys.rows, "key_versions", { ...row, sealed: source.sealed });
      await tx.keys.updateVersion(forged, row.mac);
    });
  const use = async (home: string, keyId: string) => {
    const vault = await reopen(home);
    return vault.keys.provider().encrypt({ keyId, plaintext: bytes("x") });
  };

  test("is sealed for its vault, its key and its version", async () => {
    const home = await withKeys();
    const { keys, vaultId } = await openKeys(home);
    await using store = await openStore({ file: join(home, "lango.db"), mode: "read" });
    const versions = await versionsOf(store as never, "default");
    expect(versions.map(({ version }) => version)).toEqual(["1", "2"]);
    for (const { keyId, version, sealed } of versions) {
      const aad = parts(utf8("lango/v1/local-key"), vaultId, utf8(keyId), utf8(version));
      expect(openValue(keys.wrap, sealed!, aad)).toHaveLength(32);
    }
  });

  test("opens for no other key", async () => {
    const home = await withKeys();
    await replace(home, async (tx) => {
      const [row] = await versionsOf(tx, "other");
      const [source] = await versionsOf(tx, "default");
      return [row!, source!];
    });
    await expectCode(() => use(home, "other"), "ERR_DECRYPTION_FAILED");
  });

  test("opens for no other version", async () => {
    const home = await withKeys();
    await replace(home, async (tx) => {
      const [first, second] = await versionsOf(tx, "default");
      return [second!, first!];
    });
    await expectCode(() => use(home, "default"), "ERR_DECRYPTION_FAILED");
  });

  test("is no data key", async () => {
    const home = await withKeys();
    await replace(home, async (tx) => {
      const [row] = await versionsOf(tx, "other");
      const [dataKey] = await tx.dataKeys.list();
      return [row!, { ...row!, sealed: dataKey!.wrapped }];
    });
    await expectCode(() => use(home, "other"), "ERR_DECRYPTION_FAILED");
  });
});

test("a data key is sealed for its vault and its id: that of another row is refused", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.keys.create({ name: "other", type: "encryption" });
  await vault.secrets.set("a", bytes("v"));
  await vault.secrets.set("b", bytes("v"), { key: "other" });
  await vault.close();
  await forge(home, async (tx, { keys, vaultId }) => {
    const [first, second] = await tx.dataKeys.list();
    const aad = parts(utf8("lango/v1/datakey"), vaultId, fromHex(first!.id)!);
    expect(openValue(keys.wrap, first!.wrapped, aad)).toHaveLength(32);
    for (const [row, { wrapped }] of [
      [first!, second!],
      [second!, first!],
    ] as const) {
      await tx.dataKeys.update(withMac(keys.rows, "data_keys", { ...row, wrapped }), row.mac);
    }
  });
  const again = await reopen(home);
  for (const name of ["a", "b"]) {
    await expectCode(() => again.secrets.get(name), "ERR_DECRYPTION_FAILED");
  }
});

test("a row of the log that names another epoch is a fault, though its hash and MAC fit", async () => {
  const home = await created();
  edit(home, "UPDATE audit_log SET epoch = 2 WHERE seq = 2");
  const report = await (await reopen(home)).audit.verify();
  expect(report.ok).toBe(false);
  expect(report.faults).toMatchObject([{ seq: 2, problem: expect.stringContaining("epoch 2") }]);
});

import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Bytes, zero } from "@lango/crypto-core";
import type { SlotCredential } from "@lango/envelope";
import type { SqliteDatabase } from "@lango/store";
import { describe, expect, test } from "vitest";
import { leftovers, watchFilled, watchKeyMaterial } from "../../../tooling/vitest/key-material.ts";
import { createVault, type Vault } from "../src/index.ts";
import { edit } from "./forge.ts";
import { bytes, expectCode, makeVault, newHome, PASSPHRASE, reopen } from "./helpers.ts";
import { onStage } from "./on-stage.ts";
import { Sqlite } from "./sqlite.ts";
import { weakKdf } from "./weak-kdf.ts";

/** Sets a value and zeroes it, which is its caller's part. */
const set = async (vault: Vault, name: string, value: Bytes = bytes("v")): Promise<void> => {
  await vault.secrets.set(name, value);
  zero(value);
};

const passphrase: SlotCredential = { kind: "passphrase", passphrase: bytes(PASSPHRASE) };

describe("creating", () => {
  test("a vault leaves nothing when it is closed, and all but the vault key before", async () => {
    const seen = watchKeyMaterial();
    const vault = await makeVault(newHome());
    expect(new Set(leftovers(seen))).toEqual(new Set(["key", "plaintext before sealing"]));
    expect(new Set(seen.keys.filter((key) => key.some(Boolean))).size).toBe(1);
    await vault.close();
    expect(leftovers(seen)).toEqual([]);
    expect(seen.passphrases.length).toBeGreaterThan(0);
  });

  test("a vault that fails while it is written leaves nothing", async () => {
    const home = newHome();
    const seen = watchKeyMaterial();
    onStage("onboard:written", () => rmSync(join(home, "keyslots.json.tmp")));
    await expect(makeVault(home)).rejects.toThrow();
    expect(seen.keys.length).toBeGreaterThan(0);
    expect(leftovers(seen)).toEqual([]);
  });

  test("a vault with a credential that will not do leaves nothing", async () => {
    const seen = watchKeyMaterial();
    const credentials = [passphrase, { kind: "env", key: new Uint8Array(31) } as const];
    await expect(createVault({ home: newHome(), credentials, ...weakKdf() })).rejects.toThrow();
    expect(seen.sealed).toHaveLength(1);
    expect(leftovers(seen)).toEqual([]);
  });

  test("a vault in a folder that others may enter leaves nothing", async () => {
    const home = newHome();
    mkdirSync(home);
    chmodSync(home, 0o755);
    const seen = watchKeyMaterial();
    await expect(makeVault(home)).rejects.toThrow();
    expect(leftovers(seen)).toEqual([]);
  });
});

describe("opening", () => {
  test("and every kind of work leave nothing when the vault is closed", async () => {
    const home = newHome();
    const first = await makeVault(home);
    await set(first, "a");
    await first.close();
    const seen = watchKeyMaterial();
    const vault = await reopen(home);
    await set(vault, "a", bytes("w"));
    await vault.secrets.rollback("a", 1);
    zero((await vault.secrets.get("a")).value);
    const provider = vault.keys.provider();
    for (const algorithm of ["ecdsa-p256", "secp256k1", "ed25519", "hmac-sha256"] as const) {
      await vault.keys.create({ name: algorithm, type: "signing", algorithm });
    }
    await provider.sign!({ keyId: "ecdsa-p256", message: bytes("m") });
    await provider.mac!({ keyId: "hmac-sha256", message: bytes("m") });
    await provider.rotateKey!({ keyId: "default" });
    const key = bytes("k".repeat(32));
    const { wrappedKey } = await provider.wrapKey!({ keyId: "default", key });
    zero(key, await provider.unwrapKey!({ keyId: "default", wrappedKey }));
    await vault.slots.changePassphrase({
      oldPassphrase: bytes(PASSPHRASE),
      newPassphrase: bytes("another long passphrase"),
      ...weakKdf(),
    });
    expect(leftovers(seen)).toContain("plaintext after opening");
    await vault.close();
    expect(leftovers(seen)).toEqual([]);
    // The vault key, at opening and twice at the change; audit key, data key, key material, values.
    expect(seen.opened.length).toBeGreaterThanOrEqual(8);
  });

  test.each([
    ["with a wrong passphrase", () => {}, "wrong horse"],
    ["without its database", (home: string) => rmSync(join(home, "lango.db")), PASSPHRASE],
    [
      "with an altered row",
      (home: string) => edit(home, "UPDATE vault SET created_at = 1"),
      PASSPHRASE,
    ],
  ])("%s fails and leaves nothing", async (_what, spoil, typed) => {
    const home = newHome();
    await (await makeVault(home)).close();
    spoil(home);
    const seen = watchKeyMaterial();
    await expect(reopen(home, { passphrase: typed })).rejects.toThrow();
    expect(seen.passphraseKeys).toHaveLength(1);
    expect(leftovers(seen)).toEqual([]);
  });
});

test("a new passphrase that is not taken leaves no copy", async () => {
  const vault = await makeVault(newHome());
  const filled = watchFilled();
  const newPassphrase = bytes("another long passphrase");
  const oldPassphrase = bytes("wrong horse");
  await expectCode(
    () => vault.slots.changePassphrase({ oldPassphrase, newPassphrase }),
    "ERR_WRONG_PASSPHRASE",
  );
  expect(filled).toContain("another long passphrase");
  expect(newPassphrase.some(Boolean)).toBe(true);
});

describe("when the log cannot be written, what was opened is zeroed:", () => {
  const inDatabase = (home: string, run: (database: SqliteDatabase) => void): void => {
    const database = new Sqlite(join(home, "lango.db"), {});
    run(database);
    database.close();
  };
  const denied = async (use: (vault: Vault, ciphertext: Bytes) => Promise<unknown>) => {
    const home = newHome();
    const vault = await makeVault(home);
    await set(vault, "a");
    await set(vault, "a", bytes("w"));
    const plaintext = bytes("x");
    const provider = vault.keys.provider();
    const { ciphertext } = await provider.encrypt({ keyId: "default", plaintext });
    inDatabase(home, (database) =>
      database.exec(
        "CREATE TRIGGER deny BEFORE INSERT ON audit_log BEGIN SELECT RAISE(ABORT, 'no room'); END",
      ),
    );
    const seen = watchKeyMaterial();
    await expect(use(vault, ciphertext)).rejects.toThrow();
    expect(seen.opened.some(({ length }) => length === 1)).toBe(true);
    expect(leftovers(seen)).toEqual([]);
  };

  test("a secret", () => denied((vault) => vault.secrets.get("a")));
  test("an old version", () => denied((vault) => vault.secrets.get("a", { version: 1 })));
  test("a value on its way back", () => denied((vault) => vault.secrets.rollback("a", 1)));
  test("what a key decrypts", () =>
    denied((vault, ciphertext) => vault.keys.provider().decrypt({ keyId: "default", ciphertext })));
});

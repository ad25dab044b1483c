import { withFolderLock } from "@lango/store";
import { createUnlocker, encryptionKeyLabel } from "@lango/unlock";
import { describe, expect, test } from "vitest";
import { keepNewer } from "../src/env-slots.ts";
import { openVault, type Vault } from "../src/index.ts";
import { bytes, expectCode, makeVault, newHome, quickKdf, reopen, text } from "./helpers.ts";

const K0 = "9f8e7d6c5b4a39281706f5e4d3c2b1a0ff00112233445566778899aabbccddee";
const K1 = "00112233445566778899aabbccddeeff9f8e7d6c5b4a39281706f5e4d3c2b1a0";
const K2 = "c0ffee00112233445566778899aabbccddeeff9f8e7d6c5b4a39281706f5e4d3";
const keyOf = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));

const opening = (home: string, env: Record<string, string>) => ({
  unlock: createUnlocker({ home, env, stdinFree: false, containerSecrets: home }),
});
const open = (home: string, env: Record<string, string>): Promise<Vault> =>
  reopen(home, opening(home, env));

/** A vault that K0 opens, with one secret. */
async function vaultOfK0(home: string): Promise<void> {
  const vault = await makeVault(home, undefined, {
    credentials: [{ kind: "env", key: keyOf(K0), label: encryptionKeyLabel(0) }],
  });
  await vault.secrets.set("old", bytes("written before"));
  await vault.close();
}

const labels = async (vault: Vault): Promise<(string | undefined)[]> =>
  (await vault.slots.list()).map(({ label }) => label);
const actions = async (vault: Vault): Promise<string[]> =>
  (await vault.audit.tail(200)).map(({ action, target }) => `${action} ${target ?? ""}`);
const activeKeys = async (vault: Vault): Promise<string[]> =>
  (await vault.dataKeys.list()).filter(({ state }) => state === "active").map(({ id }) => id);

describe("opened with an older key while a newer one is set", () => {
  test("the newer one gets a slot, what is written goes under a new data key, and both are read", async () => {
    const home = newHome();
    await vaultOfK0(home);
    const before = await open(home, { ENCRYPTION_KEY: K0 });
    const [oldKey] = await activeKeys(before);
    await before.close();

    const env = { ENCRYPTION_KEY_V0: K0, ENCRYPTION_KEY: K1, ENCRYPTION_KEY_VERSION: "1" };
    const vault = await open(home, env);
    expect(vault.unlockedBy.source).toBe("ENCRYPTION_KEY_V0");
    expect(vault.unlockedBy.skipped.slice(-2)).toEqual([
      { source: "LANGO_MASTER_KEY", reason: "the vault has no env slot" },
      { source: "ENCRYPTION_KEY", reason: "it opens no slot yet" },
    ]);
    expect(await labels(vault)).toEqual(["ENCRYPTION_KEY v0", "ENCRYPTION_KEY v1"]);
    expect(await activeKeys(vault)).toEqual([]);
    await vault.secrets.set("new", bytes("written after"));
    expect(text((await vault.secrets.get("old")).value)).toBe("written before");
    const [newKey, ...others] = await activeKeys(vault);
    expect(others).toEqual([]);
    expect(newKey).not.toBe(oldKey);
    const added = (await vault.audit.tail(50)).find(({ action }) => action === "slots.add");
    expect(added?.detail).toBe(
      "ENCRYPTION_KEY v1 from ENCRYPTION_KEY, and new data keys, generation 2",
    );
    expect((await vault.audit.verify({ rows: true })).faults).toEqual([]);
    await vault.close();

    // From now on the new one is enough; nothing is added twice.
    const again = await open(home, env);
    expect(again.unlockedBy.source).toBe("ENCRYPTION_KEY");
    expect(await labels(again)).toHaveLength(2);
    expect(await activeKeys(again)).toEqual([newKey]);
    await again.close();
    const alone = await open(home, { ENCRYPTION_KEY: K1, ENCRYPTION_KEY_VERSION: "1" });
    expect(text((await alone.secrets.get("old")).value)).toBe("written before");
  });

  test("by ENCRYPTION_KEY while ENCRYPTION_KEY_NEXT is set; after the swap the labels go on counting", async () => {
    const home = newHome();
    await vaultOfK0(home);
    const vault = await open(home, { ENCRYPTION_KEY: K0, ENCRYPTION_KEY_NEXT: K1 });
    expect(vault.unlockedBy.source).toBe("ENCRYPTION_KEY");
    await vault.close();
    const swapped = await open(home, { ENCRYPTION_KEY: K1, ENCRYPTION_KEY_NEXT: K2 });
    expect(await labels(swapped)).toEqual([
      "ENCRYPTION_KEY v0",
      "ENCRYPTION_KEY v1",
      "ENCRYPTION_KEY v2",
    ]);
  });

  test("many at once add one slot", async () => {
    const home = newHome();
    await vaultOfK0(home);
    const env = { ENCRYPTION_KEY_V0: K0, ENCRYPTION_KEY: K1, ENCRYPTION_KEY_VERSION: "1" };
    const vaults = await Promise.all(Array.from({ length: 6 }, () => open(home, env)));
    expect(await labels(vaults[0]!)).toEqual(["ENCRYPTION_KEY v0", "ENCRYPTION_KEY v1"]);
  });
});

describe("a wrong key", () => {
  test.each<[Record<string, string>, RegExp]>([
    [{ ENCRYPTION_KEY: K1 }, /does not open the vault \(from ENCRYPTION_KEY\)$/],
    [
      { ENCRYPTION_KEY: K1, ENCRYPTION_KEY_NEXT: K2 },
      /\(from ENCRYPTION_KEY_NEXT, ENCRYPTION_KEY\)$/,
    ],
  ])("opens nothing and gets no slot: %j", async (env, message) => {
    const home = newHome();
    await vaultOfK0(home);
    const error = await expectCode(
      openVault({ home, ...opening(home, env) }),
      "ERR_WRONG_PASSPHRASE",
    );
    expect(error.message).toMatch(message);
    const vault = await open(home, { ENCRYPTION_KEY: K0 });
    expect(await labels(vault)).toEqual(["ENCRYPTION_KEY v0"]);
    // The failure is in the log by now.
    expect((await vault.audit.tail(20)).some(({ outcome }) => outcome === "failure")).toBe(true);
  });
});

describe("older keys are removed", () => {
  test("but for the one that the newest opens, which is proven first; other slots stay", async () => {
    const home = newHome();
    const made = await makeVault(home, undefined, {
      credentials: [
        { kind: "passphrase", passphrase: bytes("correct horse battery"), kdf: quickKdf() },
        { kind: "env", key: keyOf(K2), label: "LANGO_MASTER_KEY" },
        { kind: "env", key: keyOf(K0), label: encryptionKeyLabel(0) },
      ],
    });
    const wrong = made.slots.removeOlderEncryptionKeys(keyOf(K1));
    await expectCode(wrong, "ERR_WRONG_PASSPHRASE");
    // Another slot's key is not one of its versions.
    await expectCode(made.slots.removeOlderEncryptionKeys(keyOf(K2)), "ERR_WRONG_PASSPHRASE");
    expect(await labels(made)).toHaveLength(3);
    const zeroed = { key: new Uint8Array(32), version: 1, variable: "ENCRYPTION_KEY" };
    await expectCode(made.slots.adoptEncryptionKey(zeroed), "ERR_INVALID_ARGUMENT");
    const newest = { key: keyOf(K1), version: 1, variable: "ENCRYPTION_KEY" };
    expect(await made.slots.adoptEncryptionKey(newest)).toMatchObject({
      label: "ENCRYPTION_KEY v1",
    });
    expect(await made.slots.adoptEncryptionKey(newest)).toBeUndefined();
    const removed = await made.slots.removeOlderEncryptionKeys(keyOf(K1));
    expect(removed.map(({ label }) => label)).toEqual(["ENCRYPTION_KEY v0"]);
    expect(await labels(made)).toEqual([undefined, "LANGO_MASTER_KEY", "ENCRYPTION_KEY v1"]);
    expect(await made.slots.removeOlderEncryptionKeys(keyOf(K1))).toEqual([]);
    expect(await actions(made)).toContain(`slots.remove ${removed[0]?.id}`);
    expect((await made.audit.verify({ rows: true })).faults).toEqual([]);
    await made.close();
    await expectCode(
      openVault({ home, ...opening(home, { ENCRYPTION_KEY: K0 }) }),
      "ERR_WRONG_PASSPHRASE",
    );
    await (await open(home, { ENCRYPTION_KEY: K1 })).close();
  });
});

test("with the lock held by another it is left to the next opening, which is no failure", async () => {
  const home = newHome();
  await vaultOfK0(home);
  const env = { ENCRYPTION_KEY_V0: K0, ENCRYPTION_KEY: K1, ENCRYPTION_KEY_VERSION: "1" };
  await withFolderLock(home, async () => {
    const vault = await open(home, env);
    expect(await labels(vault)).toEqual(["ENCRYPTION_KEY v0"]);
    expect(await actions(vault)).not.toContain("slots.add env");
    await vault.close();
  });
  expect(await labels(await open(home, env))).toHaveLength(2);
});

test("keys that opened nothing are kept as copies, the oldest first", () => {
  const made = (n: number) => ({
    ...{ source: `K${n}`, secret: new Uint8Array([n]), slotLabel: `v${n}` },
    ambient: true,
  });
  const [newest, newer] = [made(2), made(1)];
  const kept = keepNewer([newest, newer]);
  newest.secret.fill(0);
  expect(kept.map(({ label, key }) => [label, key[0]])).toEqual([
    ["v1", 1],
    ["v2", 2],
  ]);
});

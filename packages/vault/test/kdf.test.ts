import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fromHex } from "@lango/crypto-core";
import {
  buildKeyslots,
  createSlot,
  deriveVaultKeys,
  type Kdf,
  openSlot,
  parseKeyslots,
  serializeKeyslots,
} from "@lango/envelope";
import { openStore } from "@lango/store";
import { describe, expect, test } from "vitest";
import { createVault, type Vault } from "../src/index.ts";
import { withMac } from "../src/rows.ts";
import { bytes, expectCode, makeVault, newHome, PASSPHRASE, quickKdf, reopen } from "./helpers.ts";

const NEW = "another long passphrase";
const slotOf = (home: string) => {
  const { slots, generation } = parseKeyslots(readFileSync(join(home, "keyslots.json")));
  return { ...slots[0]!, generation };
};
const credentials = [{ kind: "passphrase" as const, passphrase: bytes(PASSPHRASE) }];

describe("a key derivation below the floor", () => {
  test("is refused, in words, before anything is written", async () => {
    const home = newHome();
    const create = (options: object) => createVault({ home, credentials, ...options });
    const refused = await expectCode(() => create({ kdf: quickKdf() }), "ERR_INVALID_ARGUMENT");
    expect(refused.message).toContain("600,000 iterations");
    const own = credentials.map((credential) => ({ ...credential, kdf: quickKdf() }));
    await expectCode(() => create({ credentials: own }), "ERR_INVALID_ARGUMENT");
    expect(existsSync(home)).toBe(false);
    const vault = await makeVault(home);
    await expectCode(
      () =>
        vault.slots.changePassphrase({
          oldPassphrase: bytes(PASSPHRASE),
          newPassphrase: bytes(NEW),
          kdf: quickKdf(),
        }),
      "ERR_INVALID_ARGUMENT",
    );
    expect(slotOf(home)).toMatchObject({ generation: 1 });
  });

  test("is kept at openings where it was accepted", async () => {
    const home = newHome();
    await (await makeVault(home)).close();
    await reopen(home);
    expect(slotOf(home)).toMatchObject({
      generation: 1,
      weakKdfAccepted: true,
      kdf: { iterations: 1000 },
    });
  });
});

describe("a passphrase change that names no key derivation", () => {
  const change = (vault: Vault) =>
    vault.slots.changePassphrase({
      oldPassphrase: bytes(PASSPHRASE),
      newPassphrase: bytes(NEW),
    });

  test("never lowers the costs", async () => {
    const home = newHome();
    const kdf: Kdf = { ...argon2id(), memoryKiB: 72 * 1024, iterations: 2 };
    const vault = await createVault({ home, credentials, kdf });
    await change(vault);
    await vault.close();
    const { kdf: renewed } = slotOf(home);
    expect(renewed).toMatchObject({ memoryKiB: 72 * 1024, iterations: 3, parallelism: 4 });
    expect(renewed?.salt).not.toBe(Buffer.from(kdf.salt).toString("base64"));
  });

  test("ends accepted weakness", async () => {
    const home = newHome();
    await change(await makeVault(home));
    expect(slotOf(home)).toMatchObject({ kdf: { name: "argon2id", memoryKiB: 65_536 } });
    expect(slotOf(home)).not.toHaveProperty("weakKdfAccepted");
  });
});

const argon2id = (): Kdf & { name: "argon2id" } => ({
  name: "argon2id",
  memoryKiB: 65_536,
  iterations: 3,
  parallelism: 4,
  salt: new Uint8Array(16).fill(7),
});

describe("an opening with a weak passphrase slot that nobody accepted", () => {
  /** As an earlier lango, with an earlier floor, would have left it. */
  const makeOld = async (): Promise<string> => {
    const home = newHome();
    await (await makeVault(home)).close();
    const made = parseKeyslots(readFileSync(join(home, "keyslots.json")));
    const { vaultId, generation } = made;
    const vaultKey = await openSlot(made, made.slots[0]!, bytes(PASSPHRASE));
    const id = fromHex(vaultId)!;
    const slot = { kind: "passphrase", passphrase: bytes(PASSPHRASE), label: "mine" } as const;
    const slots = [await createSlot(vaultKey, id, { ...slot, kdf: quickKdf() })];
    const next = buildKeyslots(vaultKey, { vaultId, generation, slots });
    for (const name of ["keyslots.json", "keyslots.bak.json"]) {
      writeFileSync(join(home, name), serializeKeyslots(next));
    }
    await using store = await openStore({ file: join(home, "lango.db"), mode: "open" });
    const row = (await store.vault.get())!;
    const changed = { ...row, slotMac: fromHex(next.mac)! };
    const signed = withMac(deriveVaultKeys(vaultKey, id).rows, "vault", changed);
    await store.transaction("full", (tx) => tx.vault.update(signed, row.mac));
    return home;
  };

  test("raises it, once, and says so in the log", async () => {
    const home = await makeOld();
    const before = slotOf(home);
    const vault = await reopen(home);
    const after = slotOf(home);
    expect(after).toMatchObject({ label: "mine", kdf: { name: "argon2id", memoryKiB: 65_536 } });
    expect(after.generation).toBe(before.generation + 1);
    expect(readFileSync(join(home, "keyslots.bak.json"))).toEqual(
      readFileSync(join(home, "keyslots.json")),
    );
    expect((await vault.audit.tail()).map(({ action, target }) => [action, target])).toContainEqual(
      ["slots.upgrade-kdf", before.id],
    );
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
    await vault.close();
    await reopen(home);
    expect(slotOf(home)).toEqual(after);
  });

  test("opens all the same when the file cannot be written, which the log says", async () => {
    const home = await makeOld();
    const before = slotOf(home);
    mkdirSync(join(home, "keyslots.json.tmp"));
    const { audit } = await reopen(home);
    expect(slotOf(home)).toEqual(before);
    expect((await audit.tail()).at(-2)).toMatchObject({
      action: "slots.upgrade-kdf",
      outcome: "failure",
    });
  });

  test("opens all the same while another process holds the lock", async () => {
    const home = await makeOld();
    const before = slotOf(home);
    await using store = await openStore({ file: join(home, "lango.db"), mode: "open" });
    const release = Promise.withResolvers<void>();
    const held = store.withLock(() => release.promise);
    await (await reopen(home)).close();
    expect(slotOf(home)).toEqual(before);
    release.resolve();
    await held;
  });
});

describe("credentials that no reader of keyslots.json would take", () => {
  test.for([
    ["a label with a line break", [{ ...credentials[0]!, label: "a\nb" }]],
    [
      "33 of them",
      Array.from({ length: 33 }, (_, i) => ({
        kind: "env" as const,
        key: new Uint8Array(32).fill(i),
      })),
    ],
  ] as const)("%s: refused before anything is written", async ([, refused]) => {
    const home = newHome();
    await expectCode(
      () => createVault({ home, credentials: refused, kdf: quickKdf(), acceptWeakKdf: true }),
      "ERR_INVALID_ARGUMENT",
    );
    expect(existsSync(home)).toBe(false);
  });
});

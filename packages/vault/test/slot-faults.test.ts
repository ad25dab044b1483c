import {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { buildKeyslots, createSlot, parseKeyslots, serializeKeyslots } from "@lango/envelope";
import { describe, expect, test } from "vitest";
import { inspectHome, type Vault } from "../src/index.ts";
import { edit, openKeys, readVaultRow } from "./forge.ts";
import {
  bytes,
  expectCode,
  makeVault,
  newHome,
  PASSPHRASE,
  quickKdf,
  reopen,
  text,
} from "./helpers.ts";
import { onStage } from "./on-stage.ts";
import { weakKdf } from "./weak-kdf.ts";

const NEW = "another long passphrase";

const change = (vault: Vault, from: string = PASSPHRASE, to: string = NEW) =>
  vault.slots.changePassphrase({
    oldPassphrase: bytes(from),
    newPassphrase: bytes(to),
    ...weakKdf(),
  });

/** What a bad disk, or somebody else, makes of a file between its write and its rename. */
const DAMAGE: readonly (readonly [string, (file: string) => void])[] = [
  ["is cut short", (file) => truncateSync(file, 200)],
  ["is empty", (file) => truncateSync(file, 0)],
  ["is gone", (file) => rmSync(file)],
  [
    "has a flipped bit",
    (file) => {
      const content = readFileSync(file);
      content[content.indexOf('"sealed"') + 20]! ^= 1;
      writeFileSync(file, content);
    },
  ],
];

const filled = async (): Promise<{ home: string; vault: Vault }> => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("v"));
  return { home, vault };
};

/** The vault is as it was before the change that failed. */
const expectUnchanged = async (home: string, vault: Vault, before: Buffer): Promise<void> => {
  expect(readFileSync(join(home, "keyslots.json"))).toEqual(before);
  expect(readFileSync(join(home, "keyslots.bak.json"))).toEqual(before);
  expect(readdirSync(home).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  expect(text((await vault.secrets.get("a")).value)).toBe("v");
  await vault.close();
  await expectCode(() => reopen(home, { passphrase: NEW }), "ERR_WRONG_PASSPHRASE");
  const again = await reopen(home);
  expect(text((await again.secrets.get("a")).value)).toBe("v");
  expect(await again.audit.verify({ rows: true })).toMatchObject({ ok: true });
};

describe("the old slot stays until the new one has opened from the disk: the new file", () => {
  test.each(DAMAGE)("%s", async (_what, damage) => {
    const { home, vault } = await filled();
    const before = readFileSync(join(home, "keyslots.json"));
    onStage("slots:written", () => damage(join(home, "keyslots.json.tmp")));
    await expect(change(vault)).rejects.toThrow();
    await expectUnchanged(home, vault, before);
  });

  test("is sound but for the slot, which another passphrase opens", async () => {
    const { home, vault } = await filled();
    const before = readFileSync(join(home, "keyslots.json"));
    const { vaultKey, vaultId } = await openKeys(home);
    const other = await createSlot(vaultKey, vaultId, {
      kind: "passphrase",
      passphrase: bytes("not what was typed"),
      kdf: quickKdf(),
    });
    const file = join(home, "keyslots.json.tmp");
    onStage("slots:written", () => {
      const written = parseKeyslots(readFileSync(file));
      const { id } = written.slots[0]!;
      const { vaultId, generation } = written;
      const swapped = buildKeyslots(vaultKey, { vaultId, generation, slots: [{ ...other, id }] });
      writeFileSync(file, serializeKeyslots(swapped));
    });
    await expectCode(() => change(vault), "ERR_WRONG_PASSPHRASE");
    await expectUnchanged(home, vault, before);
  });

  test("is another sound one, without the new slot", async () => {
    const { home, vault } = await filled();
    const before = readFileSync(join(home, "keyslots.json"));
    onStage("slots:written", () => writeFileSync(join(home, "keyslots.json.tmp"), before));
    await expectCode(() => change(vault), "ERR_INTERNAL");
    await expectUnchanged(home, vault, before);
  });
});

describe("onboarding makes no vault of slots that did not arrive on the disk: the file", () => {
  test.each(DAMAGE)("%s", async (_what, damage) => {
    const home = newHome();
    onStage("onboard:written", () => damage(join(home, "keyslots.json.tmp")));
    await expect(makeVault(home)).rejects.toThrow();
    expect(existsSync(join(home, "keyslots.json"))).toBe(false);
    expect(readdirSync(home).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    expect(await inspectHome(home)).toBe("half-made");
    const vault = await makeVault(home);
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
  });

  test("is of another vault", async () => {
    const [home, other] = [newHome(), newHome()];
    await makeVault(other);
    onStage("onboard:written", () => {
      const foreign = readFileSync(join(other, "keyslots.json"));
      writeFileSync(join(home, "keyslots.json.tmp"), foreign);
    });
    await expectCode(() => makeVault(home), "ERR_INTEGRITY");
    expect(existsSync(join(home, "keyslots.json"))).toBe(false);
  });
});

test("a change that was given up is forgotten when the vault is opened next", async () => {
  const { home, vault } = await filled();
  onStage("slots:written", () => rmSync(join(home, "keyslots.json.tmp")));
  await expect(change(vault)).rejects.toThrow();
  await vault.close();
  expect(readVaultRow(home)).toMatchObject({ slot_generation: 1, pending_generation: 2 });
  await (await reopen(home)).close();
  expect(readVaultRow(home)).toMatchObject({
    slot_generation: 1,
    pending_generation: null,
    pending_mac: null,
  });
  const again = await reopen(home);
  await change(again);
  expect(await again.audit.verify({ rows: true })).toMatchObject({ ok: true });
  await again.close();
  await reopen(home, { passphrase: NEW });
});

describe("an open vault changes no passphrase", () => {
  test("when keyslots.json is of another vault", async () => {
    const { home, vault } = await filled();
    const other = newHome();
    await makeVault(other);
    const foreign = readFileSync(join(other, "keyslots.json"));
    writeFileSync(join(home, "keyslots.json"), foreign);
    await expectCode(() => change(vault), "ERR_INTEGRITY");
    expect(readFileSync(join(home, "keyslots.json"))).toEqual(foreign);
  });

  test("when keyslots.json is an older one of this vault", async () => {
    const { home, vault } = await filled();
    const older = readFileSync(join(home, "keyslots.json"));
    await change(vault);
    writeFileSync(join(home, "keyslots.json"), older);
    await expectCode(() => change(vault), "ERR_KEYSLOTS_ROLLED_BACK");
    expect(readFileSync(join(home, "keyslots.json"))).toEqual(older);
  });

  test("when the vault row was altered: it gets no sound MAC by being settled", async () => {
    const { home, vault } = await filled();
    const pending = "created_at = 1, pending_generation = 2, pending_mac = zeroblob(32)";
    edit(home, `UPDATE vault SET ${pending}`);
    await expectCode(() => change(vault), "ERR_INTEGRITY");
    expect(readVaultRow(home)).toMatchObject({ created_at: 1, pending_generation: 2 });
    await vault.close();
    await expectCode(() => reopen(home), "ERR_INTEGRITY");
  });

  test("when the vault row is altered while the new slot is made", async () => {
    const { home, vault } = await filled();
    onStage("slots:made", () => edit(home, "UPDATE vault SET created_at = 1"));
    await expectCode(() => change(vault), "ERR_INTEGRITY");
    await vault.close();
    await expectCode(() => reopen(home), "ERR_INTEGRITY");
  });
});

import { chmodSync, cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { randomBytesFresh, zero } from "@lango/crypto-core";
import { type Keyslots, parseKeyslots, type SlotCredential } from "@lango/envelope";
import { openStore } from "@lango/store";
import { expect, test } from "vitest";
import { leftovers, watchKeyMaterial } from "../../../tooling/vitest/key-material.ts";
import { openAuditKey } from "../src/audit/audit-keys.ts";
import { createAuditLog } from "../src/audit/log.ts";
import type { RekeyCredential, Vault } from "../src/index.ts";
import { openContext } from "../src/open-context.ts";
import { giveUpRekey, REKEY } from "../src/rekey-job.ts";
import { putResealed, resealRows } from "../src/rekey-rows.ts";
import { checkNewSlots, planSlots, proveSlots } from "../src/rekey-slots.ts";
import { writeSlotRow } from "../src/slot-row-state.ts";
import { forge, openKeys, readVaultRow } from "./forge.ts";
import {
  bytes,
  expectCode,
  makeVault,
  newHome,
  PASSPHRASE,
  text,
  withPassphrase,
} from "./helpers.ts";
import { onStage } from "./on-stage.ts";
import { checkWhole } from "./rig/whole.ts";
import { weakKdf } from "./weak-kdf.ts";

const passphrase = (given: string = PASSPHRASE): SlotCredential & { kind: "passphrase" } => ({
  ...{ kind: "passphrase", passphrase: bytes(given) },
  ...weakKdf(),
});

const kept = async (vault: Vault): Promise<RekeyCredential[]> =>
  (await vault.slots.list()).map(({ id }) => ({ slotId: id, credential: passphrase() }));

const keyslotsOf = (home: string): Keyslots =>
  parseKeyslots(readFileSync(join(home, "keyslots.json")));

test("a new vault key leaves nothing pending, also after a rotation that destroyed data keys", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value"));
  await vault.rotation.start();
  const { vault: next } = await vault.rekey({ credentials: await kept(vault) });
  expect(readVaultRow(home)).toMatchObject({
    ...{ state: "ready", slot_generation: 2, pending_generation: null, pending_mac: null },
  });
  expect(text((await next.secrets.get("a")).value)).toBe("value");
  await checkWhole(next, home);
});

test("a new vault key leaves no key and no passphrase in memory", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.keys.create({ name: "sign", type: "signing", algorithm: "ed25519" });
  const credentials = await kept(vault);
  const seen = watchKeyMaterial();
  const { vault: next } = await vault.rekey({ credentials });
  await next.close();
  expect(seen.opened.length).toBeGreaterThan(3);
  expect(leftovers(seen)).toEqual([]);
});

test("handles go with the vault key that somebody may have had", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value"));
  const destination = "api.example.org:443";
  await vault.approvals.handles.issue({ secret: "a", session: "s", tool: "http", destination });
  expect(await vault.approvals.handles.list()).toHaveLength(1);
  const { vault: next } = await vault.rekey({
    ...{ credentials: await kept(vault), compromised: true },
  });
  expect(await next.approvals.handles.list()).toEqual([]);
});

test("a change of the vault key is not given up once its keyslots file is in place", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  const { keys, vaultId } = await openKeys(home);
  const copy = newHome();
  onStage("rekey:renamed", () => {
    cpSync(home, copy, { recursive: true });
    chmodSync(copy, 0o700);
  });
  const next = (await vault.rekey({ credentials: await kept(vault) })).vault;
  await next.close();
  await using store = await openStore({ file: join(copy, "lango.db"), mode: "open" });
  const row = (await store.vault.get())!;
  const auditKey = openAuditKey({ keys, vaultId }, row);
  const log = createAuditLog({ store, auditKey, clock: Date.now, source: "test" });
  await giveUpRekey({ store, keys, log } as never, row, keyslotsOf(copy));
  expect(await store.jobs.find(REKEY)).toBeDefined();
});

test("a data key or key version that the job forgot is named, and no row is changed", async () => {
  const home = newHome();
  await makeVault(home);
  await forge(home, async (tx, from) => {
    const row = (await tx.vault.get())!;
    const resealed = await resealRows(tx, from, from, row);
    const [dataKey] = Object.keys(resealed.dataKeys);
    const [version] = Object.keys(resealed.versions);
    const forgets = async (part: object): Promise<string> =>
      (await expectCode(() => putResealed(tx, from, { ...resealed, ...part }), "ERR_INTEGRITY"))
        .message;
    expect(await forgets({ dataKeys: {} })).toContain(dataKey);
    expect(await forgets({ versions: {} })).toContain(version);
  });
});

test("the plan refuses weak costs and what is no passphrase, and keeps costs that were raised", async () => {
  const home = newHome();
  await makeVault(home);
  const keyslots = keyslotsOf(home);
  const slotId = keyslots.slots[0]!.id;
  const plan = (credential: SlotCredential, slots = keyslots) =>
    planSlots(slots, { credentials: [{ slotId, credential }] });
  await expectCode(
    async () => plan({ ...passphrase(), acceptWeakKdf: false }),
    "ERR_INVALID_ARGUMENT",
  );
  await expectCode(async () => plan(passphrase("")), "ERR_INVALID_ARGUMENT");
  const raised = {
    ...keyslots.slots[0]!,
    kdf: { name: "argon2id", memoryKiB: 262_144, iterations: 5, parallelism: 1, salt: "AAAA" },
  } as const;
  const { made } = plan(
    { kind: "passphrase", passphrase: bytes(PASSPHRASE) },
    { ...keyslots, slots: [raised] },
  );
  expect(made[0]?.credential).toMatchObject({ kdf: { memoryKiB: 262_144, iterations: 5 } });
});

test("a slot that holds another vault key is found out, before and after it is made", async () => {
  const home = newHome();
  await makeVault(home);
  const { keyslots } = await openKeys(home);
  const made = [{ old: keyslots.slots[0], credential: passphrase(), isNew: false }];
  const other = randomBytesFresh(32);
  await expectCode(() => proveSlots(keyslots, made, other), "ERR_INTERNAL");
  const written = readFileSync(join(home, "keyslots.json"));
  await expect(checkNewSlots(keyslots, written, made, other)).rejects.toThrow();
  zero(other);
});

test("slots in a row are tried before they are written", async () => {
  const home = newHome();
  await makeVault(home);
  const { context, paths, file, discard } = await openContext({ home, unlock: withPassphrase() });
  const before = (await context.store.vault.get())!;
  const check = async (): Promise<void> => {
    throw new Error("does not open");
  };
  const entry = { action: "slot.add" };
  const also = async () => [];
  await expect(
    writeSlotRow(context, paths, before, file.keyslots, check, entry, also),
  ).rejects.toThrow("does not open");
  expect(await context.store.keyslots.get()).toBeUndefined();
  await discard();
});

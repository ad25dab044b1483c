import { randomBytes } from "node:crypto";
import { chmodSync, cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CryptoProvider } from "@lango/crypto-core";
import { createLocalProvider } from "@lango/crypto-local";
import type { SlotInfo, UnlockResult } from "@lango/unlock";
import { describe, expect, test } from "vitest";
import { acceptRollback, readVault, type Vault } from "../src/index.ts";
import {
  bytes,
  expectCode,
  makeVault,
  newHome,
  PASSPHRASE,
  reopen,
  text,
  withPassphrase,
} from "./helpers.ts";
import { onStage } from "./on-stage.ts";
import { Sqlite } from "./sqlite.ts";

const newPin = () => ({
  id: randomBytes(16).toString("base64url"),
  fingerprint: randomBytes(32).toString("base64url"),
});

/** A vault with a device, and a slot that its key opens; the device itself is any provider here. */
async function withDevice(home = newHome()) {
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("v"));
  const pin = newPin();
  await vault.companions.add({ ...pin, name: "Phone", role: "companion" });
  const provider = createLocalProvider({ keys: [] });
  await provider.createKey?.({ keyId: "k", algorithm: "aes-256-gcm", usage: "encryption" });
  const made = { kind: "provider", uri: "rpc:k", keyId: "k", provider, companion: pin } as const;
  const slot = await vault.slots.add(made);
  return { home, vault, pin, slot, provider };
}

const copyHome = (from: string, to: string): void => {
  cpSync(from, to, { recursive: true });
  chmodSync(to, 0o700);
};

const pinsOf = async ({ slots }: { slots: Pick<Vault["slots"], "list"> }) =>
  (await slots.list()).flatMap(({ companion }) => companion ?? []);

/** What that device gives. */
const byDevice =
  (provider: CryptoProvider, slotId: string) =>
  async (infos: readonly SlotInfo[]): Promise<UnlockResult> => {
    const secret = await infos.find(({ id }) => id === slotId)!.unwrap!(provider);
    const source = { kind: "provider", source: "the device", ambient: true } as const;
    return { credential: { ...source, slotIds: [slotId], secret }, skipped: [] };
  };

const reopenBy = (home: string, provider: CryptoProvider, slotId: string) =>
  reopen(home, { unlock: byDevice(provider, slotId) });

describe("a slot that a paired device opens", () => {
  test("names it, in a vault whose database shows nothing", async () => {
    const { home, vault, pin, slot } = await withDevice();
    expect(slot.companion).toEqual(pin);
    await vault.database.encrypt();
    await using locked = await readVault({ home });
    await expectCode(() => locked.companions.list(), "ERR_LOCKED");
    expect(await pinsOf(locked)).toEqual([pin]);
  });

  test("follows the device when its key is renewed, when it is paired again, and into a new vault key", async () => {
    const { home, vault, pin, slot, provider } = await withDevice();
    const { generation } = JSON.parse(readFileSync(join(home, "keyslots.json"), "utf8"));
    const { fingerprint } = newPin();
    await vault.companions.replacePin(pin.id, fingerprint);
    expect(await pinsOf(vault)).toEqual([{ id: pin.id, fingerprint }]);
    const [told] = (await vault.audit.tail(2)).filter(({ action }) => action !== "slots.commit");
    expect(told).toMatchObject({
      action: "companion.rollover",
      target: pin.id,
      detail: `${fingerprint}, with slot ${slot.id}, generation ${generation + 1}`,
    });
    const { id } = newPin();
    await vault.companions.add({ id, fingerprint, name: "Phone 2", role: "companion" });
    expect(await pinsOf(vault)).toEqual([{ id, fingerprint }]);
    expect(await vault.companions.find(fingerprint)).toMatchObject({ id, name: "Phone 2" });
    // Another device with another key is nobody's slot.
    await vault.companions.add({ ...newPin(), name: "Tablet", role: "companion" });
    expect(await pinsOf(vault)).toEqual([{ id, fingerprint }]);
    await vault.close();

    const opened = await reopenBy(home, provider, slot.id);
    expect(text((await opened.secrets.get("a")).value)).toBe("v");
    expect(await opened.audit.verify({ rows: true })).toMatchObject({ ok: true });
    await opened.close();

    const again = await reopen(home);
    const [first] = await again.slots.list();
    const passphrase = { kind: "passphrase", passphrase: bytes(PASSPHRASE) } as const;
    const remote = { kind: "provider", uri: "rpc:k", keyId: "k", provider } as const;
    const rekeyed = await again.rekey({
      credentials: [
        { slotId: first!.id, credential: passphrase },
        { slotId: slot.id, credential: remote },
      ],
    });
    expect(await pinsOf(rekeyed.vault)).toEqual([{ id, fingerprint }]);
    await rekeyed.vault.close();
  });

  test("goes with the device, unless it opened the vault", async () => {
    const { home, vault, pin: before, slot, provider } = await withDevice();
    await vault.close();
    const opened = await reopenBy(home, provider, slot.id);
    // Its new key is no reason to refuse: the slot stays.
    const pin = { id: before.id, fingerprint: newPin().fingerprint };
    await opened.companions.replacePin(pin.id, pin.fingerprint);
    await expectCode(() => opened.companions.revoke(pin.id), "ERR_CONFLICT");
    expect(await opened.companions.find(pin.fingerprint)).toMatchObject({ id: pin.id });
    expect(await pinsOf(opened)).toEqual([pin]);
    await opened.close();

    const again = await reopen(home);
    expect(await again.companions.revoke(pin.id)).toEqual([{ ...slot, companion: pin }]);
    expect(await pinsOf(again)).toEqual([]);
    expect(await again.companions.list()).toEqual([]);
    expect(await again.audit.verify({ rows: true })).toMatchObject({ ok: true });
    // A device without a slot takes none along.
    const other = newPin();
    await again.companions.add({ ...other, name: "Tablet", role: "companion" });
    expect(await again.companions.revoke(other.id)).toEqual([]);
    await expectCode(() => again.companions.revoke(other.id), "ERR_NOT_FOUND");
  });

  test.each(["slots:pending", "slots:written", "slots:renamed", "slots:current"])(
    "is never left with a device in force, when its revocation dies at %s",
    async (stage) => {
      const { home, vault, pin, slot } = await withDevice();
      const copy = newHome();
      onStage(stage, () => copyHome(home, copy));
      await vault.companions.revoke(pin.id);
      await vault.close();

      const again = await reopen(copy);
      // The row is what counts: who opens by the slot is looked up there.
      expect(await again.companions.find(pin.fingerprint)).toBeUndefined();
      const left = await again.slots.list();
      if (left.some(({ id }) => id === slot.id)) await again.slots.remove(slot.id);
      expect(await again.slots.list()).toHaveLength(1);
      expect(text((await again.secrets.get("a")).value)).toBe("v");
      expect(await again.audit.verify({ rows: true })).toMatchObject({ ok: true });
    },
  );

  test("stays where what was written is not what was to be", async () => {
    const { home, vault, pin, slot } = await withDevice();
    onStage("slots:written", () => {
      const file = join(home, "keyslots.json.tmp");
      const bytes = readFileSync(file);
      bytes[bytes.length >> 1]! ^= 1;
      writeFileSync(file, bytes);
    });
    await expect(vault.companions.revoke(pin.id)).rejects.toThrow(/keyslots|slots file/i);
    expect((await vault.slots.list()).map(({ id }) => id)).toContain(slot.id);
  });

  test("is not kept from going by an older file, in which it is not", async () => {
    const { home, vault, pin, slot, provider } = await withDevice();
    await vault.slots.remove(slot.id);
    const file = join(home, "keyslots.json");
    const without = readFileSync(file);
    const made = { kind: "provider", uri: "rpc:k", keyId: "k", provider, companion: pin } as const;
    await vault.slots.add(made);
    const now = readFileSync(file);
    writeFileSync(file, without);
    await expectCode(() => vault.companions.revoke(pin.id), "ERR_KEYSLOTS_ROLLED_BACK");
    writeFileSync(file, now);
    expect(await vault.companions.revoke(pin.id)).toHaveLength(1);
  });

  test("opens nothing for a device that is suspended, unknown or changed, whoever asks", async () => {
    const { home, vault, pin, slot, provider } = await withDevice();
    await vault.close();
    const database = join(home, "lango.db");
    const edit = (sql: string): void => {
      const file = new Sqlite(database, {});
      file.exec(sql);
      file.close();
    };
    const older = readFileSync(database);
    const newer = await reopen(home);
    await newer.slots.add({ kind: "env", key: randomBytes(32) });
    await newer.close();
    writeFileSync(database, older);
    await acceptRollback({ home, unlock: withPassphrase() });
    await expectCode(() => reopenBy(home, provider, slot.id), "ERR_ACCESS_DENIED");
    const again = await reopen(home);
    const made = { kind: "provider", uri: "rpc:k", keyId: "k", provider, companion: pin } as const;
    await expectCode(() => again.slots.add(made), "ERR_CONFLICT");
    await again.companions.confirm(pin.id);
    await again.close();
    await (await reopenBy(home, provider, slot.id)).close();
    edit("UPDATE companions SET name = 'Mine'");
    await expectCode(() => reopenBy(home, provider, slot.id), "ERR_INTEGRITY");
    const altered = await reopen(home);
    await expectCode(() => altered.slots.add(made), "ERR_INTEGRITY");
    await altered.close();
    edit("DELETE FROM companions");
    await expectCode(() => reopenBy(home, provider, slot.id), "ERR_INTEGRITY");
  });

  test("comes back with an older file, and opens nothing: not even to accept that file", async () => {
    const { home, vault, pin, slot, provider } = await withDevice();
    const file = join(home, "keyslots.json");
    const older = readFileSync(file);
    await vault.companions.revoke(pin.id);
    await vault.close();
    writeFileSync(file, older);
    await expectCode(() => reopenBy(home, provider, slot.id), "ERR_KEYSLOTS_ROLLED_BACK");
    const unlock = byDevice(provider, slot.id);
    await expectCode(() => acceptRollback({ home, unlock }), "ERR_KEYSLOTS_ROLLED_BACK");
    await acceptRollback({ home, unlock: withPassphrase() });
    await expectCode(() => reopenBy(home, provider, slot.id), "ERR_INTEGRITY");
    await (await reopen(home)).slots.remove(slot.id);
  });

  test("takes a renewed key at the second try, when the first one dies", async () => {
    const { home, vault, pin } = await withDevice();
    const copy = newHome();
    onStage("slots:pending", () => copyHome(home, copy));
    const { fingerprint } = newPin();
    await vault.companions.replacePin(pin.id, fingerprint);
    await vault.close();
    const again = await reopen(copy);
    expect(await pinsOf(again)).toEqual([pin]);
    await again.companions.replacePin(pin.id, fingerprint);
    expect(await pinsOf(again)).toEqual([{ id: pin.id, fingerprint }]);
  });
});

describe("a slot that is being made while its device changes", () => {
  test("and an end in the middle of it, keep nobody from revoking the device", async () => {
    const { vault, slot, provider, pin } = await withDevice();
    await vault.slots.remove(slot.id);
    const away = changedMeanwhile(provider, "unwrapKey", () => Promise.reject(new Error("away")));
    const made = { kind: "provider", uri: "rpc:k", keyId: "k", companion: pin } as const;
    await expect(vault.slots.add({ ...made, provider: away })).rejects.toThrow(/Cannot write/);
    // Announced, and never in force.
    expect(await vault.companions.revoke(pin.id)).toEqual([]);
    const [told] = (await vault.audit.tail(1)).slice(-1);
    expect(told).toMatchObject({ action: "companion.revoke", detail: "Phone" });
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
  });

  test("comes in the very moment: the change is not made, and may be repeated", async () => {
    const { home, vault, slot, pin } = await withDevice();
    await vault.slots.remove(slot.id);
    const file = new Sqlite(join(home, "lango.db"), {});
    onStage("companion:looked", () => {
      file.exec("UPDATE vault SET pending_generation = 9, pending_mac = zeroblob(32)");
    });
    const error = await vault.companions.revoke(pin.id).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "ERR_CONFLICT", retryable: true });
    file.exec("UPDATE vault SET pending_generation = NULL, pending_mac = NULL");
    file.close();
    await vault.companions.revoke(pin.id);
  });

  /** The provider of a device that somebody changes while it is asked. */
  const changedMeanwhile = (
    provider: CryptoProvider,
    operation: "wrapKey" | "unwrapKey",
    changing: () => Promise<unknown>,
  ): CryptoProvider =>
    new Proxy(provider, {
      get: (target, name) => {
        const member = Reflect.get(target, name);
        if (name !== operation) return member;
        return async (options: never) => {
          await changing();
          return member!.call(target, options);
        };
      },
    });

  const changes = [
    ["revoked", (vault: Vault, id: string) => vault.companions.revoke(id)],
    [
      "renewed",
      (vault: Vault, id: string) => vault.companions.replacePin(id, newPin().fingerprint),
    ],
  ] as const;

  const prepared = async () => {
    const { vault, pin, slot, provider, home } = await withDevice();
    await vault.slots.remove(slot.id);
    const other = await reopen(home, { busyTimeoutMs: 50 });
    const made = { kind: "provider", uri: "rpc:k", keyId: "k", companion: pin } as const;
    return { vault, other, pin, provider, made };
  };

  test.each(changes)("is not kept when that is %s before", async (_, change) => {
    const { vault, other, pin, provider, made } = await prepared();
    const asked = changedMeanwhile(provider, "wrapKey", () => change(other, pin.id));
    await expectCode(() => vault.slots.add({ ...made, provider: asked }), "ERR_CONFLICT");
    expect(await vault.slots.list()).toHaveLength(1);
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
  });

  test.each(changes)("keeps that from being %s until it is there", async (_, change) => {
    const { vault, other, pin, provider, made } = await prepared();
    let refused: unknown;
    // The slots are announced by then, and not yet in force: they are tried.
    const asked = changedMeanwhile(provider, "unwrapKey", async () => {
      refused = await change(other, pin.id).catch((error: unknown) => error);
    });
    await vault.slots.add({ ...made, provider: asked });
    expect(refused).toMatchObject({ code: "ERR_CONFLICT" });
    await change(other, pin.id);
    const left = await pinsOf(vault);
    const device = (await other.companions.list())[0];
    expect(left).toEqual(device ? [{ id: device.id, fingerprint: device.fingerprint }] : []);
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
  });
});

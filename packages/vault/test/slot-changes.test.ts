import { readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { type Bytes, randomBytesFresh } from "@lango/crypto-core";
import { createLocalProvider } from "@lango/crypto-local";
import type { SlotCredential } from "@lango/envelope";
import type { SlotInfo, SlotKind, UnlockResult } from "@lango/unlock";
import { describe, expect, test } from "vitest";
import { openVault, type Vault } from "../src/index.ts";
import { bytes, expectCode, makeVault, newHome, reopen, text } from "./helpers.ts";
import { onStage } from "./on-stage.ts";
import { weakKdf } from "./weak-kdf.ts";

const filled = async (): Promise<{ home: string; vault: Vault }> => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("v"));
  return { home, vault };
};

const openWith = (home: string, kind: SlotKind, secret: Uint8Array) =>
  openVault({
    home,
    unlock: async (slots: readonly SlotInfo[]): Promise<UnlockResult> => ({
      credential: {
        ...{ kind, source: "test", ambient: false, secret: new Uint8Array(secret) },
        slotIds: slots.filter((slot) => slot.kind === kind).map(({ id }) => id),
      },
      skipped: [],
    }),
  });

const key = (): Bytes => randomBytesFresh(32);

describe("adding a slot", () => {
  const secret = key();
  const credentials: readonly (readonly [SlotCredential, Uint8Array])[] = [
    [{ kind: "master-key-file", key: secret, label: "server" }, secret],
    [{ kind: "env", key: secret }, secret],
    [{ kind: "keyring", key: secret }, secret],
    [{ kind: "recovery", entropy: secret }, secret],
    [
      { kind: "passphrase", passphrase: bytes("a second passphrase"), ...weakKdf() },
      bytes("a second passphrase"),
    ],
  ];
  test.each(credentials)("of kind $kind: both open the vault", async (credential, opener) => {
    const { home, vault } = await filled();
    const slot = await vault.slots.add(credential);
    expect(slot.kind).toBe(credential.kind);
    expect(slot.label).toBe(credential.label);
    expect(await vault.slots.list()).toHaveLength(2);
    await vault.close();
    for (const open of [() => openWith(home, credential.kind, opener), () => reopen(home)]) {
      const again = await open();
      expect(text((await again.secrets.get("a")).value)).toBe("v");
      expect(await again.audit.verify({ rows: true })).toMatchObject({ ok: true });
      await again.close();
    }
    expect(readFileSync(join(home, "keyslots.bak.json"))).toEqual(
      readFileSync(join(home, "keyslots.json")),
    );
  });

  test("of a provider is opened by it before it counts", async () => {
    const { vault } = await filled();
    const provider = createLocalProvider({ keys: [] });
    await provider.createKey?.({ keyId: "k", algorithm: "aes-256-gcm", usage: "encryption" });
    const credential = { kind: "provider", uri: "local:k", keyId: "k" } as const;
    const broken = { ...provider, unwrapKey: async () => key() };
    const before = readFileSync(join(vault.home, "keyslots.json"));
    await expectCode(
      vault.slots.add({ ...credential, provider: broken as typeof provider }),
      "ERR_WRONG_PASSPHRASE",
    );
    expect(readFileSync(join(vault.home, "keyslots.json"))).toEqual(before);
    expect(await vault.slots.add({ ...credential, provider })).toMatchObject({ uri: "local:k" });
    expect(await vault.audit.tail(2)).toMatchObject([
      { action: "slots.add", outcome: "success" },
      { action: "slots.commit" },
    ]);
  });

  test("that is no key is refused before anything is written", async () => {
    const { vault } = await filled();
    const before = readFileSync(join(vault.home, "keyslots.json"));
    await expectCode(
      vault.slots.add({ kind: "env", key: new Uint8Array(31) }),
      "ERR_INVALID_ARGUMENT",
    );
    await expectCode(
      vault.slots.add({ kind: "passphrase", passphrase: bytes("short") }),
      "ERR_INVALID_ARGUMENT",
    );
    expect(readFileSync(join(vault.home, "keyslots.json"))).toEqual(before);
  });

  test("whose file the disk damages leaves the old one", async () => {
    const { home, vault } = await filled();
    const before = readFileSync(join(home, "keyslots.json"));
    onStage("slots:written", () => truncateSync(join(home, "keyslots.json.tmp"), 200));
    await expectCode(vault.slots.add({ kind: "env", key: key() }), "ERR_INTEGRITY");
    expect(readFileSync(join(home, "keyslots.json"))).toEqual(before);
    await vault.close();
    const again = await reopen(home);
    expect(text((await again.secrets.get("a")).value)).toBe("v");
  });
});

describe("removing a slot", () => {
  test("leaves what opened the vault, and the removed one opens nothing", async () => {
    const { home, vault } = await filled();
    const secret = key();
    const { id } = await vault.slots.add({ kind: "env", key: secret });
    expect(await vault.slots.remove(id)).toMatchObject({ id, kind: "env" });
    expect(await vault.slots.list()).toHaveLength(1);
    expect((await vault.audit.tail(2))[0]).toMatchObject({ action: "slots.remove", target: id });
    await vault.close();
    await expectCode(openWith(home, "env", secret), "ERR_WRONG_PASSPHRASE");
    expect(text((await (await reopen(home)).secrets.get("a")).value)).toBe("v");
  });

  test("is refused for the last one, the one in use, and one that is not there", async () => {
    const { home, vault } = await filled();
    const [first] = await vault.slots.list();
    await expectCode(vault.slots.remove(first!.id), "ERR_CONFLICT");
    const secret = key();
    await vault.slots.add({ kind: "env", key: secret });
    await expectCode(vault.slots.remove(first!.id), "ERR_CONFLICT");
    await expectCode(vault.slots.remove("00".repeat(16)), "ERR_NOT_FOUND");
    expect(await vault.slots.list()).toHaveLength(2);
    await vault.close();
    // Opened with the other one, it can go.
    const again = await openWith(home, "env", secret);
    await again.slots.remove(first!.id);
    expect((await again.slots.list()).map(({ kind }) => kind)).toEqual(["env"]);
    await again.close();
    await expectCode(() => reopen(home), "ERR_WRONG_PASSPHRASE");
  });
});

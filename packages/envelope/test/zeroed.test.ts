import type { Bytes, CryptoProvider } from "@lango/crypto-core";
import {
  buildKeyslots,
  createOpenStream,
  createSealStream,
  createSlot,
  deriveVaultKeys,
  type Kdf,
  normalizePassphrase,
  open,
  openSlot,
  openValue,
  seal,
  sealValue,
  unwrapSlotKey,
} from "@lango/envelope";
import { describe, expect, test } from "vitest";
import {
  isZero,
  leftovers,
  watchFilled,
  watchKeyMaterial,
} from "../../../tooling/vitest/key-material.ts";
import { localKeys, recipient, resolver } from "./providers.ts";
import { bytes, codeOf, pattern, testKey, text, through } from "./support.ts";

// Zeroed means: the memory that held the secret, not a copy of it.

const vaultId = bytes(16, 7);
const kdf: Kdf = { name: "pbkdf2-sha256", iterations: 10, salt: bytes(16, 2) };

/** A provider that remembers the memory it was handed, and the memory that it gave away. */
const remembering = (provider: CryptoProvider) => {
  const handed: Uint8Array[] = [];
  const given: Bytes[] = [];
  return {
    handed,
    given,
    provider: {
      ...provider,
      wrapKey: (request: Parameters<NonNullable<CryptoProvider["wrapKey"]>>[0]) => {
        handed.push(request.key);
        return provider.wrapKey!(request);
      },
      unwrapKey: async (request: Parameters<NonNullable<CryptoProvider["unwrapKey"]>>[0]) => {
        const key = await provider.unwrapKey!(request);
        given.push(key);
        return key;
      },
    } satisfies CryptoProvider,
  };
};

describe("a data key for recipients is zeroed", () => {
  const plaintext = pattern(100);

  test("when it was wrapped, and when it was unwrapped", async () => {
    const { handed, given, provider } = remembering(localKeys("a"));
    const sealed = await seal({ plaintext, recipients: [recipient(provider, "a")] });
    const resolve = resolver({ "local:a": { provider, keyId: "a" } });
    expect(await open({ sealed, resolve })).toEqual(plaintext);
    const stream = createSealStream({ recipients: [recipient(provider, "a")] });
    const streamed = await through(stream, [plaintext]);
    expect(await through(createOpenStream({ resolve }), [streamed])).toEqual(plaintext);
    expect([handed.length, given.length]).toEqual([2, 2]);
    expect([...handed, ...given].every(isZero)).toBe(true);
  });

  test("when a recipient fails", async () => {
    const { handed, provider } = remembering(localKeys("a"));
    const recipients = [recipient(provider, "a"), recipient(provider, "unknown")];
    expect(await codeOf(() => seal({ plaintext, recipients }))).toBe("ERR_KEY_NOT_FOUND");
    expect(handed).toHaveLength(2);
    expect(handed.every(isZero)).toBe(true);
  });

  test("when it is not the one that the header commits to, and when nobody waits any more", async () => {
    const sealed = await seal({ plaintext, recipients: [recipient(localKeys("a"), "a")] });
    for (const [length, code] of [
      [32, "ERR_DECRYPTION_FAILED"],
      [31, "ERR_DECRYPTION_FAILED"],
    ] as const) {
      const wrong = bytes(length, 8);
      const provider = { ...localKeys("a"), unwrapKey: async () => wrong };
      const resolve = resolver({ "local:a": { provider, keyId: "a" } });
      expect(await codeOf(() => open({ sealed, resolve }))).toBe(code);
      expect(isZero(wrong)).toBe(true);
    }
    const controller = new AbortController();
    const late = bytes(32, 8);
    const provider = {
      ...localKeys("a"),
      unwrapKey: async () => {
        controller.abort(new Error("enough"));
        return late;
      },
    };
    const resolve = resolver({ "local:a": { provider, keyId: "a" } });
    await expect(open({ sealed, resolve, signal: controller.signal })).rejects.toThrow("enough");
    expect(isZero(late)).toBe(true);
  });

  test("and so is every key that came from it", async () => {
    const provider = localKeys("a");
    const seen = watchKeyMaterial();
    const input = pattern(100);
    const recipients = [recipient(provider, "a")];
    const sealed = await seal({ plaintext: input, recipients });
    const streamed = await through(createSealStream({ recipients }), [input]);
    const resolve = resolver({ "local:a": { provider, keyId: "a" } });
    (await open({ sealed, resolve })).fill(0);
    await open({ sealed: streamed, resolve });
    // What the caller gave, and what it was given.
    input.fill(0);
    for (const opened of seen.opened) if (opened.length === 100) opened.fill(0);
    expect(leftovers(seen)).toEqual([]);
    expect(seen.derived.map(({ info }) => info)).toContain("lango/v1/recipients");
  });
});

describe("plaintext that proves to be altered is zeroed", () => {
  test.each([
    ["of a value", 64],
    ["in its tag", 100],
  ])("%s", async (_what, offset) => {
    const key = testKey();
    const sealed = sealValue(key, pattern(64, 1), text("aad"));
    sealed[offset]! ^= 1;
    const seen = watchKeyMaterial();
    expect(await codeOf(() => openValue(key, sealed, text("aad")))).toBe("ERR_DECRYPTION_FAILED");
    expect(seen.opened.map(({ length }) => length)).toEqual([64]);
    expect(leftovers(seen)).toEqual([]);
  });
});

describe("a slot leaves no passphrase, no slot key and no vault key", () => {
  const typed = (passphrase: Uint8Array) => ({ kind: "passphrase", passphrase, kdf }) as const;
  const made = async (passphrase: Uint8Array) => {
    const vaultKey = bytes(32, 5);
    const slot = await createSlot(vaultKey, vaultId, typed(passphrase));
    const id = Buffer.from(vaultId).toString("hex");
    const keyslots = buildKeyslots(vaultKey, { vaultId: id, generation: 1, slots: [slot] });
    return { slot, keyslots };
  };

  test.each([
    ["of ASCII", text("correct horse")],
    ["that NFC changes", text("corre\u0301ct horse")],
  ])("when it is made and opened with a passphrase %s", async (_what, passphrase) => {
    const seen = watchKeyMaterial();
    const { slot, keyslots } = await made(passphrase);
    seen.sealed.splice(0); // The vault key, which is its caller's.
    const opened = await openSlot(keyslots, slot, passphrase);
    opened.fill(0);
    expect(seen.passphrases).toHaveLength(2);
    expect(leftovers(seen)).toEqual([]);
    expect(isZero(passphrase)).toBe(false);
  });

  test("when the passphrase is wrong, or no text at all", async () => {
    const { slot, keyslots } = await made(text("correct horse"));
    const seen = watchKeyMaterial();
    for (const wrong of [text("wrong horse"), bytes(12, 0xff)]) {
      expect(await codeOf(() => openSlot(keyslots, slot, wrong))).toBe("ERR_WRONG_PASSPHRASE");
      expect(isZero(wrong)).toBe(false);
    }
    expect(seen.passphrases).toHaveLength(2);
    expect(leftovers(seen)).toEqual([]);
  });

  test("when it opens but the file was altered", async () => {
    const { keyslots } = await made(text("correct horse"));
    const altered = { ...keyslots, generation: 9 };
    const seen = watchKeyMaterial();
    const opening = () => openSlot(altered, altered.slots[0]!, text("correct horse"));
    expect(await codeOf(opening)).toBe("ERR_INTEGRITY");
    expect(seen.opened.map(({ length }) => length)).toEqual([32]);
    expect(leftovers(seen)).toEqual([]);
  });

  test("when it is made with a raw key, or by a provider", async () => {
    const { handed, provider } = remembering(localKeys("a"));
    const seen = watchKeyMaterial();
    const vaultKey = bytes(32, 5);
    const key = bytes(32, 6);
    for (const kind of ["env", "keyring", "master-key-file"] as const) {
      await createSlot(vaultKey, vaultId, { kind, key });
    }
    const credential = { kind: "provider", uri: "local:a", provider, keyId: "a" } as const;
    const slot = await createSlot(vaultKey, vaultId, credential);
    expect(handed.map(({ length }) => length)).toEqual([32]);
    expect(handed.every(isZero)).toBe(true);
    expect(isZero(key)).toBe(false);
    const id = Buffer.from(vaultId).toString("hex");
    const keyslots = buildKeyslots(vaultKey, { vaultId: id, generation: 1, slots: [slot] });
    const slotKey = await unwrapSlotKey(keyslots, slot, { provider, keyId: "a" });
    const opened = await openSlot(keyslots, slot, slotKey);
    expect(opened).toEqual(vaultKey);
    for (const each of [vaultKey, slotKey, opened]) each.fill(0);
    expect(leftovers(seen)).toEqual([]);
  });
});

test("a passphrase that is too short leaves no copy", async () => {
  const filled = watchFilled();
  for (const short of ["horse", "ho\u0308rse"]) {
    expect(await codeOf(() => normalizePassphrase(text(short)))).toBe("ERR_INVALID_ARGUMENT");
    // As it was typed, and as NFC has it.
    expect(filled).toContain(short);
    expect(filled).toContain(short.normalize("NFC"));
  }
});

test("the keys of a vault are derived without a trace", () => {
  const seen = watchKeyMaterial();
  const vaultKey = bytes(32, 5);
  const keys = deriveVaultKeys(vaultKey, vaultId);
  const database = keys.database();
  keys.destroy();
  vaultKey.fill(0);
  database.fill(0);
  expect(seen.keys.length).toBeGreaterThan(4);
  expect(leftovers(seen)).toEqual([]);
});

import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { type Bytes, type CryptoProvider, concat, toBase64, utf8 } from "@lango/crypto-core";
import { openVault } from "@lango/vault";
import { describe, expect, onTestFinished, test } from "vitest";
import { createTools, createVaultReferences } from "../src/index.ts";
import { API_KEY, failure, makeVault, PASSPHRASE, rig } from "./rig.ts";

const YES = () => true;

/** Every blob of a vault's database: what a thief of the file, or an agent that may read files, has. */
const blobsOf = (home: string): Uint8Array[] => {
  const require = createRequire(new URL("../../store/package.json", import.meta.url));
  const Sqlite = require("better-sqlite3-multiple-ciphers");
  const db = new Sqlite(join(home, "lango.db"), { readonly: true });
  try {
    const tables = ["secrets", "secret_versions", "data_keys", "keys", "key_versions"];
    return tables
      .flatMap((table) => db.prepare(`SELECT * FROM ${table}`).all() as object[])
      .flatMap((row) => Object.values(row))
      .filter((value) => value instanceof Uint8Array)
      .map((value) => new Uint8Array(value));
  } finally {
    db.close();
  }
};

const isSealedValue = (blob: Uint8Array): boolean => blob[0] === 0x4c && blob[3] === 0x31;

describe("raw crypto is no way into the vault", () => {
  test("nothing of the database is opened by crypto.decrypt", async () => {
    const { call, vault } = await rig({ answer: YES });
    await vault.keys.create({ name: "release", type: "signing", algorithm: "ed25519" });
    const blobs = blobsOf(vault.home);
    expect(blobs.filter(isSealedValue).length).toBeGreaterThan(3);
    const message = await call("crypto.encrypt", { data: "x" });
    const genuine = new Uint8Array(Buffer.from(String(message["ciphertext"]), "base64"));
    const body = indexOf(genuine, utf8("LNG1"));
    for (const blob of blobs) {
      for (const data of [blob, concat(genuine.subarray(0, body), blob)]) {
        for (const output of ["reference", "plaintext"]) {
          const error = await failure(call("crypto.decrypt", { data: toBase64(data), output }));
          expect(["ERR_MALFORMED_ENVELOPE", "ERR_DECRYPTION_FAILED"]).toContain(error.code);
        }
      }
    }
  });

  test.each([true, false])(
    "a data key that a provider wrapped opens nothing as that of a message (provider with AAD: %s)",
    async (wrapAad) => {
      const other = await makeVault();
      const wraps: Bytes[] = [];
      const provider = kmsOf(other.keys.provider(), wrapAad, wraps);
      const vault = await makeVault({ defaultKey: { uri: "kms:default", provider } });
      await vault.secrets.set("api/key", utf8(API_KEY));
      const { call } = await rig({
        vault,
        answer: YES,
        crypto: () => ({ client: provider as never, keyId: "default" }),
      });
      const ofVault = wraps.length;
      const sealed = await call("crypto.encrypt", { data: "mine" });
      const genuine = new Uint8Array(Buffer.from(String(sealed["ciphertext"]), "base64"));
      const ofMessage = wraps.at(-1)!;
      expect(wraps.length).toBe(ofVault + 1);
      const at = indexOf(genuine, ofMessage);
      const body = indexOf(genuine, utf8("LNG1"));
      const values = blobsOf(vault.home).filter(isSealedValue);
      let tries = 0;
      for (const wrap of wraps.slice(0, ofVault)) {
        expect(wrap.length).toBe(ofMessage.length);
        const forged = new Uint8Array(genuine);
        forged.set(wrap, at);
        for (const value of values) {
          const data = toBase64(concat(forged.subarray(0, body), value));
          const error = await failure(call("crypto.decrypt", { data, output: "plaintext" }));
          expect(error.code).toBe("ERR_DECRYPTION_FAILED");
          tries += 1;
        }
      }
      expect(tries).toBeGreaterThan(0);
    },
  );

  test("references in what is encrypted, signed or hashed stay text", async () => {
    const { call } = await rig({ answer: YES });
    const data = "{{secret:api/key}}";
    const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
    expect((await call("crypto.hash", { data }))["hash"]).toBe(sha256(data));
    const { ciphertext } = await call("crypto.encrypt", { data });
    const shown = await call("crypto.decrypt", { data: ciphertext, output: "plaintext" });
    expect(shown).toEqual({ plaintext: data });
  });

  test("a plaintext that holds a secret is masked on its way out", async () => {
    const { call } = await rig({ answer: YES });
    const { ciphertext } = await call("crypto.encrypt", { data: `key: ${API_KEY}` });
    const shown = await call("crypto.decrypt", { data: ciphertext, output: "plaintext" });
    expect(shown).toEqual({ plaintext: "key: [SECRET:api/key]" });
  });
});

describe("reserved keys are not there", () => {
  const REFUSED = { code: "ERR_KEY_NOT_FOUND", message: "There is no such key" };

  test("those of the wallet and of Lango, those that are named, and the one of the anchors", async () => {
    const vault = await makeVault();
    const signing = { type: "signing", algorithm: "ed25519" } as const;
    for (const name of ["wallet", "wallet.main", "system-log", "audit-log", "mine", "walletless"]) {
      await vault.keys.create({ name, ...signing });
    }
    await vault.close();
    const again = await openVault({
      home: vault.home,
      audit: { anchor: "audit-log" },
      unlock: async (slots) => ({
        credential: {
          ...{ kind: "passphrase", source: "test", ambient: false },
          secret: utf8(PASSPHRASE),
          slotIds: slots.map(({ id }) => id),
        },
        skipped: [],
      }),
    });
    onTestFinished(() => again.close());
    const { call } = await rig({ vault: again, answer: YES, reservedKeys: ["local:mine"] });
    const { keys } = await call("crypto.keys");
    expect((keys as { name: string }[]).map(({ name }) => name)).toEqual(["default", "walletless"]);
    for (const name of ["wallet", "wallet.main", "system-log", "audit-log", "mine", "nothing"]) {
      for (const keyId of [name, `local:${name}`]) {
        const sign = call("crypto.sign", { data: "x", keyId });
        expect(await failure(sign)).toMatchObject(REFUSED);
        const verify = call("crypto.verify", { data: "x", keyId, signature: "AAAA" });
        expect(await failure(verify)).toMatchObject(REFUSED);
        const decrypt = call("crypto.decrypt", { data: "AAAA", keyId });
        expect(await failure(decrypt)).toMatchObject(REFUSED);
      }
    }
    expect(await call("crypto.sign", { data: "x", keyId: "walletless" })).toMatchObject({
      algorithm: "ed25519",
    });
  });

  test("the key of a provider that opens the vault", async () => {
    const { vault, guard } = await rig();
    const status = async () => ({
      ...(await vault.status()),
      slots: [{ id: "s", kind: "provider" as const, createdAt: "", uri: "local:default" }],
    });
    const opening = {
      secrets: vault.secrets,
      keys: vault.keys,
      approvals: vault.approvals,
      status,
    };
    const references = createVaultReferences({ vault });
    const tools = createTools({ vault: opening, guard, references });
    const encrypt = tools.find(({ definition }) => definition.name === "crypto.encrypt");
    expect(await failure(encrypt!.call({ data: "x" }))).toMatchObject(REFUSED);
  });
});

/** A provider like one of a cloud, over the keys of another vault. It notes what it wraps. */
const kmsOf = (inner: CryptoProvider, wrapAad: boolean, wraps: Bytes[]): CryptoProvider => ({
  ...inner,
  name: "kms",
  capabilities: { ...inner.capabilities, wrapAad },
  async wrapKey(request) {
    const result = await inner.wrapKey!(wrapAad ? request : { ...request, aad: undefined });
    wraps.push(result.wrappedKey);
    return result;
  },
  unwrapKey: (request) => inner.unwrapKey!(wrapAad ? request : { ...request, aad: undefined }),
});

const indexOf = (bytes: Uint8Array, part: Uint8Array): number => {
  const at = Buffer.from(bytes).indexOf(part);
  expect(at).toBeGreaterThanOrEqual(0);
  return at;
};

import { hkdfSync } from "node:crypto";
import {
  concat,
  createAesKey,
  openAesGcm,
  randomBytesFresh,
  sealAesGcmInto,
} from "@lango/crypto-core";
import { describe, expect, test } from "vitest";
import { createLocalProvider } from "../src/index.ts";

const ENCRYPT = 1;
const WRAP = 2;
const HEADER_BYTES = 5;
const NONCE_END = 17;

const material = new Uint8Array(32).fill(9);
const provider = createLocalProvider({
  keys: [{ id: "k", algorithm: "aes-256-gcm", versions: [{ version: 1, material }] }],
});
const key = new Uint8Array(32).fill(3);
const derived = (info: string) =>
  createAesKey(new Uint8Array(hkdfSync("sha256", material, "", info, 32)));
const withFirstByte = (sealed: Uint8Array, first: number): Uint8Array<ArrayBuffer> => {
  const copy = new Uint8Array(sealed);
  copy[0] = first;
  return copy;
};
const refused = expect.objectContaining({ code: "ERR_DECRYPTION_FAILED" });

/** Seals as the layout says, with the AES key and the first byte of one's choice. */
const forge = (info: string, first: number): Uint8Array<ArrayBuffer> => {
  const header = Uint8Array.of(first, 0, 0, 0, 1);
  const nonce = randomBytesFresh(12);
  const out = new Uint8Array(NONCE_END + key.length + 16);
  out.set(concat(header, nonce));
  sealAesGcmInto(derived(info), nonce, header, key, out, NONCE_END);
  return out;
};

describe("what one purpose sealed, the other does not open:", () => {
  test("a wrapped key that is called a ciphertext", async () => {
    const { wrappedKey } = await provider.wrapKey!({ keyId: "k", key });
    expect(wrappedKey[0]).toBe(WRAP);
    for (const ciphertext of [wrappedKey, withFirstByte(wrappedKey, ENCRYPT)]) {
      await expect(provider.decrypt({ keyId: "k", ciphertext })).rejects.toEqual(refused);
    }
  });

  test("a ciphertext that is called a wrapped key", async () => {
    const { ciphertext } = await provider.encrypt({ keyId: "k", plaintext: key });
    expect(ciphertext[0]).toBe(ENCRYPT);
    for (const wrappedKey of [ciphertext, withFirstByte(ciphertext, WRAP)]) {
      await expect(provider.unwrapKey!({ keyId: "k", wrappedKey })).rejects.toEqual(refused);
    }
  });

  test("not even when the first byte is under the tag: each purpose has an AES key and a first byte", async () => {
    const [encrypt, wrap] = ["lango/v1/local/encrypt", "lango/v1/local/wrap"];
    for (const [info, first] of [
      [wrap, ENCRYPT],
      [encrypt, WRAP],
      [wrap, WRAP],
    ] as const) {
      const decrypting = provider.decrypt({ keyId: "k", ciphertext: forge(info, first) });
      await expect(decrypting).rejects.toEqual(refused);
    }
    for (const [info, first] of [
      [wrap, ENCRYPT],
      [encrypt, WRAP],
      [encrypt, ENCRYPT],
    ] as const) {
      const unwrapping = provider.unwrapKey!({ keyId: "k", wrappedKey: forge(info, first) });
      await expect(unwrapping).rejects.toEqual(refused);
    }
    // With the right key and byte the same opens, so the forgery is well made.
    const ciphertext = forge(encrypt, ENCRYPT);
    expect(await provider.decrypt({ keyId: "k", ciphertext })).toEqual(key);
    const wrappedKey = forge(wrap, WRAP);
    expect(await provider.unwrapKey!({ keyId: "k", wrappedKey })).toEqual(key);
  });
});

test("a wrapped key has the documented layout", async () => {
  const aad = Uint8Array.of(9, 9);
  const { wrappedKey } = await provider.wrapKey!({ keyId: "k", key, aad });
  expect([...wrappedKey.subarray(0, HEADER_BYTES)]).toEqual([WRAP, 0, 0, 0, 1]);
  const boundTo = concat(wrappedKey.subarray(0, HEADER_BYTES), aad);
  const opened = openAesGcm(
    derived("lango/v1/local/wrap"),
    wrappedKey.subarray(HEADER_BYTES, NONCE_END),
    boundTo,
    wrappedKey.subarray(NONCE_END),
  );
  expect(opened).toEqual(key);
});

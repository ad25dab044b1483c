import { createHash } from "node:crypto";
import { concat, createAesKey, sealAesGcmInto, TAG_BYTES } from "@lango/crypto-core";
import { createDataKey, hkdf, openStream, openValue } from "@lango/envelope";
import { describe, expect, it } from "vitest";
import { bytes, collect, hex, pattern, text } from "./support.ts";

// AES-GCM opens one ciphertext under many keys, if its maker wants that: everything below is made with the right key, is
// authentic to the last bit, and names another commitment. Only the comparison can refuse it.

const material = pattern(32, 3);
const id = pattern(12, 8);
const key = createDataKey(material, id);
const aad = text("whose it is");
const plaintext = text("the value");
const wrong = bytes(32, 0xcc);

const u32 = (value: number): Uint8Array => {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value);
  return out;
};

const seal = (
  secret: Uint8Array,
  nonce: Uint8Array,
  bound: Uint8Array,
  header: Uint8Array,
): Uint8Array => {
  const out = concat(header, new Uint8Array(plaintext.length + TAG_BYTES));
  sealAesGcmInto(createAesKey(secret), nonce, bound, plaintext, out, header.length);
  return out;
};

const makeValue = (commitment: Uint8Array): Uint8Array => {
  const identity = concat(hex("4c4e473101000000"), id, commitment);
  const nonce = pattern(12);
  const bound = concat(identity, u32(aad.length), aad);
  return seal(hkdf(material, id, "lango/v1/value"), nonce, bound, concat(identity, nonce));
};

const makeStream = (commitment: Uint8Array): Uint8Array => {
  const salt = pattern(32, 40);
  const header = concat(hex("4c4e475301100000"), id, commitment, salt);
  const digest = createHash("sha256").update(header).update(u32(aad.length)).update(aad).digest();
  const secret = hkdf(material, salt, concat(text("lango/v1/stream"), digest));
  return seal(secret, hex("000000000000000000000001"), new Uint8Array(), header);
};

const openAll = (sealed: Uint8Array) =>
  collect(ReadableStream.from<Uint8Array>([sealed]).pipeThrough(openStream(key, aad)));

describe("another commitment is refused, however authentic the rest is", () => {
  it("LNG1", () => {
    expect(openValue(key, makeValue(key.commitment), aad)).toEqual(plaintext);
    expect(() => openValue(key, makeValue(wrong), aad)).toThrow(
      expect.objectContaining({ code: "ERR_DECRYPTION_FAILED" }),
    );
  });

  it("LNGS", async () => {
    expect(await openAll(makeStream(key.commitment))).toEqual(plaintext);
    await expect(openAll(makeStream(wrong))).rejects.toMatchObject({
      code: "ERR_DECRYPTION_FAILED",
    });
  });
});

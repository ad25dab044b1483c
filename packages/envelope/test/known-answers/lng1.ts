import { concat } from "@lango/crypto-core";
import { createDataKey, parts } from "@lango/envelope";
import { sealValueWithNonce } from "../../src/value.ts";
import { bytes, pattern, text, toHex } from "../support.ts";
import { AAD, FAILED, flipped, ID, KEY, MALFORMED, NONCE, replaced } from "./common.ts";

export interface Lng1Vector {
  name: string;
  error?: string;
  key: string;
  id: string;
  aad: string;
  plaintext?: string;
  nonce?: string;
  sealed: string;
}

export const lng1Vectors = (): Lng1Vector[] => {
  const key = createDataKey(KEY, ID);
  const base = { key: toHex(KEY), id: toHex(ID) };
  const good = (name: string, plaintext: Uint8Array, aad: Uint8Array): Lng1Vector => ({
    name,
    ...base,
    nonce: toHex(NONCE),
    aad: toHex(aad),
    plaintext: toHex(plaintext),
    sealed: toHex(sealValueWithNonce(key, plaintext, aad, NONCE)),
  });
  const sealed = sealValueWithNonce(key, text("hello"), AAD, NONCE);
  const other = createDataKey(pattern(32, 2), ID);
  const foreign = sealValueWithNonce(other, text("hello"), AAD, NONCE);
  const bad = (name: string, error: string, altered: Uint8Array, change = {}): Lng1Vector => ({
    name,
    error,
    ...base,
    aad: toHex(AAD),
    sealed: toHex(altered),
    ...change,
  });
  return [
    good("empty value, empty AAD", bytes(0), bytes(0)),
    good("one byte", bytes(1, 0xff), bytes(0)),
    good("short value with AAD", text("hello"), AAD),
    good("one block", pattern(16), AAD),
    good("a value of 1,000 bytes with AAD of 1,100", pattern(1_000), pattern(1_100, 7)),
    bad("empty input", MALFORMED, bytes(0)),
    bad("79 bytes", MALFORMED, sealed.subarray(0, 79)),
    bad("wrong magic", MALFORMED, replaced(sealed, 0, text("LNG2"))),
    bad("stream magic", MALFORMED, replaced(sealed, 0, text("LNGS"))),
    bad("suite 0", MALFORMED, flipped(sealed, 4, 1)),
    bad("suite 2", MALFORMED, flipped(sealed, 4, 3)),
    bad("reserved byte 5", MALFORMED, flipped(sealed, 5)),
    bad("reserved byte 7", MALFORMED, flipped(sealed, 7, 0x80)),
    bad("other data-key id", FAILED, flipped(sealed, 8)),
    bad("other commitment", FAILED, flipped(sealed, 51)),
    bad("other nonce", FAILED, flipped(sealed, 52)),
    bad("altered ciphertext", FAILED, flipped(sealed, 64)),
    bad("altered tag", FAILED, flipped(sealed, sealed.length - 1, 0x80)),
    bad("last byte missing", FAILED, sealed.subarray(0, sealed.length - 1)),
    bad("one byte more", FAILED, concat(sealed, bytes(1))),
    bad("other AAD", FAILED, sealed, { aad: toHex(text("Context")) }),
    bad("empty AAD", FAILED, sealed, { aad: "" }),
    bad("AAD with its length before it", FAILED, sealed, { aad: toHex(parts(AAD).subarray(4)) }),
    bad("other key", FAILED, sealed, { key: toHex(pattern(32, 2)) }),
    bad("other id for the same key", FAILED, sealed, { id: toHex(pattern(12, 101)) }),
    bad(
      "a body that is authentic under the reader's key, behind the commitment of another",
      FAILED,
      replaced(foreign, 20, key.commitment),
      { key: toHex(pattern(32, 2)) },
    ),
  ];
};

import { concat, createAesKey, sealAesGcmInto } from "@lango/crypto-core";
import { createDataKey, parts, userAad } from "@lango/envelope";
import { recipientsMac } from "../../src/recipients.ts";
import { encodeRecipients } from "../../src/recipients-header.ts";
import { createStreamSealer } from "../../src/stream.ts";
import { sealValueWithNonce } from "../../src/value.ts";
import { bytes, pattern, text, toHex } from "../support.ts";
import { AAD, FAILED, flipped, ID, KEY, MALFORMED, NONCE, replaced, SALT } from "./common.ts";

export interface LngrVector {
  name: string;
  error?: string;
  /** Who the reader can ask: a key URI and the key that unwraps. */
  known: { uri: string; kek: string; wrapAad: boolean }[];
  aad: string;
  plaintext?: string;
  sealed: string;
}

/** The wrapping of the vectors: nonce ‖ AES-256-GCM(kek, nonce, data key, AAD) ‖ tag. */
const wrap = (kek: Uint8Array, nonce: Uint8Array, aad: Uint8Array): Uint8Array => {
  const out = new Uint8Array(12 + KEY.length + 16);
  out.set(nonce);
  sealAesGcmInto(createAesKey(kek), nonce, aad, KEY, out, 12);
  return out;
};

export const lngrVectors = (): LngrVector[] => {
  const key = createDataKey(KEY, ID);
  const dekAad = parts(text("lango/v1/dek"), key.id, key.commitment);
  const alpha = { uri: "local:alpha", kek: toHex(pattern(32, 11)), wrapAad: true };
  const beta = {
    uri: "azure-kv:https://v.vault.azure.net/keys/é",
    kek: toHex(pattern(32, 12)),
    wrapAad: false,
  };
  const entries = [
    { uri: alpha.uri, keyVersion: "1", wrappedKey: wrap(pattern(32, 11), pattern(12, 1), dekAad) },
    {
      uri: beta.uri,
      keyVersion: "v2",
      wrappedKey: wrap(pattern(32, 12), pattern(12, 2), bytes(0)),
    },
  ];
  const recipients = encodeRecipients(entries);
  const value = sealValueWithNonce(key, text("hello"), userAad(AAD), NONCE);
  const stream = createStreamSealer(key, userAad(AAD), SALT);
  const streamBytes = concat(
    stream.header,
    ...stream.machine.push(pattern(100)),
    ...stream.machine.end(),
  );
  const message = (list: Uint8Array, headerBytes: number, body: Uint8Array, by = key): Uint8Array =>
    concat(list, recipientsMac(by, list, body.subarray(0, headerBytes)), body);
  const sealed = message(recipients, 64, value);
  const macAt = recipients.length;
  const good = (
    name: string,
    known: LngrVector["known"],
    plaintext: Uint8Array,
    bytesOf: Uint8Array,
  ): LngrVector => ({
    name,
    known,
    aad: toHex(AAD),
    plaintext: toHex(plaintext),
    sealed: toHex(bytesOf),
  });
  const bad = (
    name: string,
    error: string,
    altered: Uint8Array,
    change: Partial<LngrVector> = {},
  ): LngrVector => ({
    name,
    error,
    known: [alpha, beta],
    aad: toHex(AAD),
    sealed: toHex(altered),
    ...change,
  });
  const withList = (list: Uint8Array): Uint8Array => message(list, 64, value);
  const rawList = (count: number, ...fields: Uint8Array[]): Uint8Array => {
    const body = concat(...fields);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, body.length);
    return concat(text("LNGR"), Uint8Array.of(count), length, body);
  };
  const u16 = (value: Uint8Array): Uint8Array =>
    concat(Uint8Array.of(value.length >> 8, value.length & 255), value);
  const u32 = (value: Uint8Array): Uint8Array =>
    concat(Uint8Array.of(0, 0, value.length >> 8, value.length & 255), value);
  const other = createDataKey(pattern(32, 2), ID);
  return [
    good("opened by the first recipient", [alpha], text("hello"), sealed),
    good("opened by the second, which has no wrap AAD", [beta], text("hello"), sealed),
    good("a stream", [beta, alpha], pattern(100), message(recipients, 84, streamBytes)),
    bad("nobody is known", "ERR_KEY_NOT_FOUND", sealed, {
      known: [{ ...alpha, uri: "local:gamma" }],
    }),
    bad("known, but with another key", FAILED, sealed, { known: [{ ...alpha, kek: beta.kek }] }),
    bad("without the wrap AAD", FAILED, sealed, { known: [{ ...alpha, wrapAad: false }] }),
    bad("other AAD", FAILED, sealed, { aad: toHex(text("Context")) }),
    bad("AAD that is wrapped twice", FAILED, sealed, { aad: toHex(userAad(AAD)) }),
    bad(
      "first recipient left out",
      FAILED,
      concat(encodeRecipients(entries.slice(1)), sealed.subarray(macAt)),
    ),
    bad(
      "recipients exchanged",
      FAILED,
      concat(encodeRecipients([...entries].reverse()), sealed.subarray(macAt)),
    ),
    bad("altered MAC", FAILED, flipped(sealed, macAt)),
    bad("MAC of another key", FAILED, message(recipients, 64, value, other)),
    bad("other nonce: it is under the MAC too", FAILED, flipped(sealed, macAt + 32 + 52)),
    bad("altered ciphertext", FAILED, flipped(sealed, macAt + 32 + 64)),
    bad("other commitment", FAILED, flipped(sealed, macAt + 32 + 20)),
    bad("wrong magic", MALFORMED, flipped(sealed, 0)),
    bad("no recipients", MALFORMED, withList(rawList(0))),
    bad("17 recipients", MALFORMED, withList(rawList(17))),
    bad("more than 64 KiB announced", MALFORMED, replaced(sealed, 5, Uint8Array.of(0, 1, 0, 1))),
    bad(
      "bytes after the last recipient",
      MALFORMED,
      withList(rawList(1, u16(text("local:alpha")), u16(text("1")), u32(bytes(3, 1)), bytes(1))),
    ),
    bad(
      "entry longer than the list",
      MALFORMED,
      withList(rawList(1, u16(text("local:alpha")), Uint8Array.of(0xff, 0xff))),
    ),
    bad(
      "second recipient missing",
      MALFORMED,
      withList(rawList(2, u16(text("local:alpha")), u16(text("1")), u32(bytes(3, 1)))),
    ),
    bad(
      "recipient named twice",
      MALFORMED,
      withList(
        rawList(
          2,
          ...[0, 1].flatMap(() => [u16(text("local:alpha")), u16(text("1")), u32(bytes(3, 1))]),
        ),
      ),
    ),
    bad(
      "key URI with a PIN",
      MALFORMED,
      withList(
        rawList(1, u16(text("pkcs11:object=k;pin-value=1")), u16(text("1")), u32(bytes(3, 1))),
      ),
    ),
    bad(
      "key URI with a line break",
      MALFORMED,
      withList(rawList(1, u16(text("local:a\nb")), u16(text("1")), u32(bytes(3, 1)))),
    ),
    bad(
      "key URI that is not UTF-8",
      MALFORMED,
      withList(rawList(1, u16(Uint8Array.of(0x6c, 0x3a, 0xff)), u16(text("1")), u32(bytes(3, 1)))),
    ),
    bad(
      "key URI without a scheme",
      MALFORMED,
      withList(rawList(1, u16(text("alpha")), u16(text("1")), u32(bytes(3, 1)))),
    ),
    bad(
      "empty wrapped key",
      MALFORMED,
      withList(rawList(1, u16(text("local:alpha")), u16(text("1")), u32(bytes(0)))),
    ),
    bad("neither value nor stream follows", MALFORMED, replaced(sealed, macAt + 32, text("LNGX"))),
    bad("cut in the header", MALFORMED, sealed.subarray(0, macAt + 32 + 60)),
    bad("cut in the recipients", MALFORMED, sealed.subarray(0, 30)),
  ];
};

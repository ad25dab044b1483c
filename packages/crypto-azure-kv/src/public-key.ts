import { createPublicKey, type KeyObject } from "node:crypto";
import { type Bytes, toBase64Url, toPlain } from "@lango/crypto-core";
import type { KeyFacts } from "./algorithms.ts";
import type { AzureJwk } from "./client.ts";

/** The public key, from the bytes that the service gave. */
export function publicKeyOf(
  { keyType, curve, signatureBytes }: KeyFacts,
  jwk: AzureJwk,
): KeyObject {
  const { n = EMPTY, e = EMPTY, x = EMPTY, y = EMPTY } = jwk;
  const key =
    keyType === "RSA"
      ? { kty: "RSA", n: toBase64Url(n), e: toBase64Url(e) }
      : {
          kty: "EC",
          // The service's own name (RFC 8812 §3.1 has secp256k1).
          crv: curve === "P-256K" ? "secp256k1" : curve!,
          // RFC 7518 §6.2.1.2: as long as the field, with its leading zeros.
          x: toBase64Url(padTo(signatureBytes / 2, x)),
          y: toBase64Url(padTo(signatureBytes / 2, y)),
        };
  return createPublicKey({ key, format: "jwk" });
}

const EMPTY = new Uint8Array();

/** DER SubjectPublicKeyInfo (RFC 5280 §4.1). */
export const exportSpki = (key: KeyObject): Bytes =>
  toPlain(key.export({ type: "spki", format: "der" }));

/** Left-pads a big-endian number with zeros; longer ones are returned as they are. */
export function padTo(length: number, bytes: Uint8Array): Uint8Array {
  if (bytes.length >= length) return bytes;
  const padded = new Uint8Array(length);
  padded.set(bytes, length - bytes.length);
  return padded;
}

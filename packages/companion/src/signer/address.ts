import { createPublicKey } from "node:crypto";
import { CryptoError, concat, fromBase64Url, toHex, utf8 } from "@lango/crypto-core";
import { keccak_256 } from "@noble/hashes/sha3.js";

/**
 * An address with the checksum in the case of its letters.
 *
 * @param address - 20 bytes.
 * @see EIP-55
 */
export const checksumAddress = (address: Uint8Array): string => {
  const digits = toHex(address);
  const hash = toHex(keccak_256(utf8(digits)));
  const mixed = [...digits].map((digit, i) =>
    (hash[i] ?? "") >= "8" ? digit.toUpperCase() : digit,
  );
  return `0x${mixed.join("")}`;
};

/**
 * The address of a secp256k1 key: the last 20 bytes of the Keccak-256 of its point (yellow paper, appendix F).
 *
 * @param point - x‖y, 64 bytes.
 */
export const addressOf = (point: Uint8Array): string =>
  checksumAddress(keccak_256(point).subarray(12));

/**
 * x‖y of a secp256k1 key, 64 bytes.
 *
 * @param publicKey - DER SubjectPublicKeyInfo.
 * @throws {@link CryptoError} `ERR_KEY_USAGE` for a key of another kind.
 */
export const secp256k1Point = (publicKey: Uint8Array): Uint8Array => {
  const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
  const { crv, x, y } = key.asymmetricKeyType === "ec" ? key.export({ format: "jwk" }) : {};
  const coordinates = [x, y].map((base64url) => fromBase64Url(base64url ?? ""));
  if (crv !== "secp256k1") {
    throw new CryptoError("ERR_KEY_USAGE", "A wallet needs a secp256k1 key");
  }
  return concat(...coordinates.map((bytes) => bytes ?? new Uint8Array()));
};

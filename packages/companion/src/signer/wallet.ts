import {
  type Bytes,
  type CryptoClient,
  CryptoError,
  concat,
  normalizeLowS,
  utf8,
} from "@lango/crypto-core";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import type { Result } from "../protocol/methods.ts";
import { addressOf, secp256k1Point } from "./address.ts";

/** Keccak-256 of the unsigned bytes of a transaction: what its signature is over (EIP-155, EIP-2718). */
export const transactionHash = (transaction: Uint8Array): Bytes =>
  new Uint8Array(keccak_256(transaction));

/** What a signature over a message is over: EIP-191, version 0x45 (`personal_sign`). */
export const messageHash = (message: Uint8Array): Bytes => {
  const prefix = utf8(`\x19Ethereum Signed Message:\n${message.length}`);
  return new Uint8Array(keccak_256(concat(prefix, message)));
};

export const walletAddress = async (
  keys: CryptoClient,
  keyId: string,
  signal: AbortSignal,
): Promise<Result<"wallet.address">> => {
  const { publicKey } = await keys.getPublicKey({ keyId, signal });
  return { keyId, address: addressOf(secp256k1Point(publicKey)) };
};

/**
 * Signs a hash for Ethereum.
 *
 * @returns r‖s with low s (EIP-2), then the recovery bit: 65 bytes.
 * @throws {@link CryptoError} `ERR_KEY_USAGE` for a key that is no secp256k1 key; what the provider throws.
 */
export const walletSign = async (
  keys: CryptoClient,
  keyId: string,
  digest: Bytes,
): Promise<Result<"wallet.sign">> => {
  const { publicKey: spki } = await keys.getPublicKey({ keyId });
  // First, so that no other key is ever asked to sign.
  secp256k1Point(spki);
  const signed = await keys.sign({ keyId, digest, algorithm: "ecdsa-secp256k1-sha256" });
  const { publicKey } = await keys.getPublicKey({ keyId, keyVersion: signed.keyVersion });
  const signature = normalizeLowS(signed.signature, "secp256k1");
  const bit = recoveryBit(signature, digest, secp256k1Point(publicKey));
  return {
    keyId: signed.keyId,
    keyVersion: signed.keyVersion,
    signature: concat(signature, Uint8Array.of(bit)),
  };
};

/** Which of the two keys that the signature fits is ours (SEC 1 §4.1.6). */
const recoveryBit = (signature: Uint8Array, digest: Uint8Array, point: Uint8Array): 0 | 1 => {
  const parsed = secp256k1.Signature.fromBytes(signature);
  const ours = secp256k1.Point.fromBytes(concat(Uint8Array.of(4), point));
  for (const bit of [0, 1] as const) {
    if (parsed.addRecoveryBit(bit).recoverPublicKey(digest).equals(ours)) return bit;
  }
  throw new CryptoError("ERR_INTERNAL", "The provider's signature does not fit the key");
};

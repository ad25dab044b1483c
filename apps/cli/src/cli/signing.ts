import {
  type Bytes,
  CryptoError,
  type KeyAlgorithm,
  signatureFromDer,
  signatureToDer,
} from "@lango/crypto-core";
import { type Arguments, usageError } from "./arguments.ts";
import { checkKey, findKey, type Keyring } from "./crypto.ts";
import { inputOf, MAX_BUFFERED_BYTES, readInput } from "./files.ts";

/** A key that signs, or computes macs. */
export interface SigningKey {
  readonly uri: string;
  readonly algorithm: KeyAlgorithm;
  readonly isMac: boolean;
}

/** Looks up `--key` and refuses what the key cannot do. */
export async function signingKey(keyring: Keyring, args: Arguments): Promise<SigningKey> {
  const { uri, algorithm, type } = await findKey(keyring, requireKey(args), "signing");
  if (type !== "signing") {
    throw new CryptoError("ERR_KEY_USAGE", `${uri} is an encryption key, it does not sign`, {
      context: { keyId: uri, hint: 'Make one with "lango keys create NAME --type signing"' },
    });
  }
  const isMac = algorithm.startsWith("hmac-");
  if (isMac && args.flag("digest")) {
    throw usageError(`${uri} computes macs, which are of messages and not of digests`);
  }
  if (args.string("encoding") === "der" && !isEcdsa(algorithm)) {
    throw usageError(`--encoding der is for ECDSA signatures; ${uri} is a key for ${algorithm}`);
  }
  return { uri, algorithm, isMac };
}

/** Which key signs is never guessed. */
export function requireKey(args: Arguments): string {
  const key = args.string("key");
  if (key === undefined) {
    throw usageError("--key is missing", 'Name the signing key; "lango keys list" shows them');
  }
  return checkKey(key);
}

/** The message, or its digest with `--digest`, as a request wants it. */
export async function readSignable(
  args: Arguments,
): Promise<{ readonly message: Bytes } | { readonly digest: Bytes }> {
  const bytes = await readInput(inputOf(args), MAX_BUFFERED_BYTES);
  return args.flag("digest") ? { digest: bytes } : { message: bytes };
}

/** r‖s in the form that `--encoding` asks for. */
export const encodeSignature = (args: Arguments, signature: Bytes): Bytes =>
  args.string("encoding") === "der" ? signatureToDer(signature) : signature;

/** The inverse of {@link encodeSignature}. What is no DER is no valid signature either: `undefined`. */
export function decodeSignature(
  args: Arguments,
  signature: Bytes,
  algorithm: KeyAlgorithm,
): Bytes | undefined {
  if (args.string("encoding") !== "der" || !isEcdsa(algorithm)) {
    return signature;
  }
  try {
    return signatureFromDer(signature, algorithm);
  } catch {
    return undefined;
  }
}

export const isEcdsa = (
  algorithm: KeyAlgorithm,
): algorithm is "ecdsa-p256" | "ecdsa-p384" | "secp256k1" =>
  ["ecdsa-p256", "ecdsa-p384", "secp256k1"].includes(algorithm);

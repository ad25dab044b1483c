import { CryptoError } from "./errors.ts";
import type { Bytes, KeyAlgorithm } from "./provider.ts";

/** The key algorithms that sign with ECDSA. */
export type EcdsaKeyAlgorithm = Extract<KeyAlgorithm, "ecdsa-p256" | "ecdsa-p384" | "secp256k1">;

/**
 * Order of each curve's base point, and the bytes of one scalar; a signature r‖s is twice as long.
 *
 * @see NIST SP 800-186 §3.2.1 for P-256 and P-384; SEC 2 §2.4.1 for secp256k1
 */
export const ECDSA_CURVES: Readonly<
  Record<EcdsaKeyAlgorithm, { readonly order: bigint; readonly scalarBytes: 32 | 48 }>
> = {
  "ecdsa-p256": {
    order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
    scalarBytes: 32,
  },
  "ecdsa-p384": {
    order:
      0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
    scalarBytes: 48,
  },
  secp256k1: {
    order: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
    scalarBytes: 32,
  },
};

const SEQUENCE = 0x30;
const INTEGER = 0x02;

const invalid = (message: string): CryptoError => new CryptoError("ERR_INVALID_ARGUMENT", message);

/**
 * Encodes an ECDSA signature r‖s as DER, the form that OpenSSL, X.509 and the cloud services use.
 *
 * @param signature - r‖s, 64 or 96 bytes.
 * @returns At most 72 or 104 bytes.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for another length.
 * @see RFC 3279 §2.2.3 (Ecdsa-Sig-Value)
 */
export function signatureToDer(signature: Uint8Array): Bytes {
  if (signature.length !== 64 && signature.length !== 96) {
    throw invalid(`An ECDSA signature r‖s has 64 or 96 bytes, not ${signature.length}`);
  }
  const half = signature.length / 2;
  const r = derInteger(signature.subarray(0, half));
  const s = derInteger(signature.subarray(half));
  // At most 2 × (2 + 49) = 102 bytes follow: the short form of the length is always enough.
  return Uint8Array.of(SEQUENCE, r.length + s.length, ...r, ...s);
}

/**
 * Decodes a DER ECDSA signature into r‖s.
 *
 * @param der - Strict DER (X.690 §10): shortest lengths and integers, both positive, nothing after them.
 * @param algorithm - Says how long r and s are: 32 bytes each, 48 for `ecdsa-p384`.
 * @returns 64 or 96 bytes.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` if it is not such a signature.
 */
export function signatureFromDer(der: Uint8Array, algorithm: EcdsaKeyAlgorithm): Bytes {
  const { scalarBytes } = ECDSA_CURVES[algorithm];
  if (der[0] !== SEQUENCE || der[1] !== der.length - 2 || der.length > 2 + 127) {
    throw invalid("A DER signature is one SEQUENCE of exactly its length");
  }
  const result = new Uint8Array(2 * scalarBytes);
  let position = 2;
  for (const end of [scalarBytes, 2 * scalarBytes]) {
    const length = der[position + 1] ?? 0;
    const integer = der.subarray(position + 2, position + 2 + length);
    if (der[position] !== INTEGER || length === 0 || integer.length !== length) {
      throw invalid("A DER signature holds two INTEGERs");
    }
    const [first = 0, second = 0] = integer;
    if (first >= 0x80 || (first === 0 && length > 1 && second < 0x80)) {
      throw invalid("An INTEGER of a DER signature is negative or not in its shortest form");
    }
    const magnitude = first === 0 ? integer.subarray(1) : integer;
    if (magnitude.length > scalarBytes) {
      throw invalid(`An INTEGER of a DER signature is longer than ${scalarBytes} bytes`);
    }
    result.set(magnitude, end - magnitude.length);
    position += 2 + length;
  }
  if (position !== der.length) throw invalid("A DER signature has bytes after its two INTEGERs");
  return result;
}

/**
 * Returns the signature with the smaller of the two values of s that verify, as Bitcoin (BIP 146) and
 * Ethereum (EIP-2) demand.
 *
 * @param signature - r‖s, 64 bytes, 96 for `ecdsa-p384`.
 * @returns A copy; equal to `signature` if its s was low.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for another length.
 */
export function normalizeLowS(signature: Uint8Array, algorithm: EcdsaKeyAlgorithm): Bytes {
  const { order, scalarBytes } = ECDSA_CURVES[algorithm];
  if (signature.length !== 2 * scalarBytes) {
    throw invalid(
      `An ${algorithm} signature r‖s has ${2 * scalarBytes} bytes, not ${signature.length}`,
    );
  }
  const result = new Uint8Array(signature);
  let s = 0n;
  for (const byte of signature.subarray(scalarBytes)) s = (s << 8n) | BigInt(byte);
  if (s <= order / 2n || s >= order) return result;
  let low = order - s;
  for (let index = 2 * scalarBytes - 1; index >= scalarBytes; index--) {
    result[index] = Number(low & 0xffn);
    low >>= 8n;
  }
  return result;
}

function derInteger(magnitude: Uint8Array): Uint8Array {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++;
  const digits = magnitude.subarray(start);
  // A first bit of 1 would make the INTEGER negative.
  return (digits[0] ?? 0) < 0x80
    ? Uint8Array.of(INTEGER, digits.length, ...digits)
    : Uint8Array.of(INTEGER, digits.length + 1, 0, ...digits);
}

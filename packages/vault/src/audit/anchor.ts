import { constants, createPublicKey, type KeyObject, verify } from "node:crypto";
import {
  type Bytes,
  fromBase64,
  fromHex,
  type SignatureAlgorithm,
  toBase64,
  utf8,
} from "@lango/crypto-core";
import { type JsonValue, parts } from "@lango/envelope";
import { u64 } from "../names.ts";
import type { AuditAnchor } from "../types.ts";

/** An anchor as its row of the chain holds it: the vault is this one, and the row has a time. */
export type ChainAnchor = Omit<AuditAnchor, "vaultId" | "ts">;

const ANCHOR = utf8("lango/v1/anchor");

/** What an anchor signs: parts(`lango/v1/anchor`, vault id, seq as u64, hash). */
export const anchorMessage = (vaultId: Uint8Array, seq: number, hash: Uint8Array): Bytes =>
  parts(ANCHOR, vaultId, u64(seq), hash);

/** Reads an anchor back; `undefined` for what is none. */
export const anchorOf = (value: JsonValue | undefined): ChainAnchor | undefined => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const { algorithm, hash, keyVersion, publicKey, seq, signature, uri } = value as Readonly<
    Record<string, JsonValue>
  >;
  if (typeof algorithm !== "string" || !Object.hasOwn(SCHEMES, algorithm)) return undefined;
  if (typeof uri !== "string" || typeof keyVersion !== "string") return undefined;
  if (typeof seq !== "number" || !Number.isSafeInteger(seq) || seq < 1) return undefined;
  if (typeof hash !== "string" || fromHex(hash)?.length !== 32) return undefined;
  if (typeof signature !== "string" || !fromBase64(signature)) return undefined;
  if (typeof publicKey !== "string" || !fromBase64(publicKey)) return undefined;
  const scheme = algorithm as SignatureAlgorithm;
  return { algorithm: scheme, hash, keyVersion, publicKey, seq, signature, uri };
};

/** Says whether the signature of an anchor is by the public key that the anchor names. */
export type CheckAnchor = (anchor: ChainAnchor) => boolean;

/** Keeps the public keys that it has read: a long chain has many anchors of one key. */
export const createAnchorCheck = (vaultId: Uint8Array): CheckAnchor => {
  const keys = new Map<string, KeyObject | undefined>();
  const keyOf = (spki: string): KeyObject | undefined => {
    if (!keys.has(spki)) keys.set(spki, importSpki(spki));
    return keys.get(spki);
  };
  return ({ algorithm, hash, publicKey, seq, signature }) => {
    const key = keyOf(publicKey);
    const [bytes, signed] = [fromHex(hash), fromBase64(signature)];
    const scheme = SCHEMES[algorithm];
    if (!key || !bytes || !signed || kindOf(key) !== scheme.kind) return false;
    const { digest, kind: _, ...options } = scheme;
    return verify(digest, anchorMessage(vaultId, seq, bytes), { key, ...options }, signed);
  };
};

const importSpki = (spki: string): KeyObject | undefined => {
  try {
    const key = Buffer.from(fromBase64(spki) ?? []);
    return createPublicKey({ key, format: "der", type: "spki" });
  } catch {
    return undefined;
  }
};

/** Base64 of a public key in the form that anchors have it; `undefined` for bytes that are none. */
export const canonicalSpki = (spki: Uint8Array): string | undefined =>
  importSpki(toBase64(spki)) && toBase64(spki);

/** The curve, or the type of the key. */
const kindOf = (key: KeyObject): string | undefined =>
  key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType;

interface Scheme {
  readonly kind: string;
  readonly digest: string | null;
  readonly dsaEncoding?: "ieee-p1363";
  readonly padding?: number;
  readonly saltLength?: number;
}

const ecdsa = (kind: string, digest: string): Scheme => ({
  kind,
  digest,
  dsaEncoding: "ieee-p1363",
});
const pss = (digest: string): Scheme => ({
  kind: "rsa",
  digest,
  padding: constants.RSA_PKCS1_PSS_PADDING,
  saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
});
const pkcs1 = (digest: string): Scheme => ({
  kind: "rsa",
  digest,
  padding: constants.RSA_PKCS1_PADDING,
});

const SCHEMES: Readonly<Record<SignatureAlgorithm, Scheme>> = {
  "ecdsa-p256-sha256": ecdsa("prime256v1", "sha256"),
  "ecdsa-p384-sha384": ecdsa("secp384r1", "sha384"),
  "ecdsa-secp256k1-sha256": ecdsa("secp256k1", "sha256"),
  ed25519: { kind: "ed25519", digest: null },
  "rsa-pss-sha256": pss("sha256"),
  "rsa-pss-sha384": pss("sha384"),
  "rsa-pss-sha512": pss("sha512"),
  "rsa-pkcs1-sha256": pkcs1("sha256"),
  "rsa-pkcs1-sha384": pkcs1("sha384"),
  "rsa-pkcs1-sha512": pkcs1("sha512"),
};

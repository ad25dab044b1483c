import type {
  KeyAlgorithm,
  KeyUsage,
  MacAlgorithm,
  Operation,
  ProviderCapabilities,
  SignatureAlgorithm,
} from "@lango/crypto-core";
import { CKF, CKG_MGF1, CKK, CKM, CKO } from "./constants.ts";
import type { OpenToken } from "./pool.ts";
import type { KeyFacts, MechanismSpec } from "./protocol.ts";
import { curveOf } from "./public-key.ts";

/** Hash of the RSA-OAEP padding. */
export type OaepHash = "sha256" | "sha1";

/** What `wrapKey` uses with an AES key. */
export type KeyWrap = "aes-gcm" | "aes-kwp";

export const OAEP_BYTES: Readonly<Record<OaepHash, number>> = { sha256: 32, sha1: 20 };

export const GCM: MechanismSpec = { type: CKM.aesGcm, gcm: { tagBits: 128 } };

export const oaepMechanism = (hash: OaepHash): MechanismSpec => ({
  type: CKM.rsaPkcsOaep,
  oaep: { hash: CKM[hash], mgf: CKG_MGF1[hash] },
});

/** The numbers that AES key wrap with padding may have; the child finds out which the token means. */
export const KWP_MECHANISMS: readonly number[] = [CKM.aesKeyWrapKwp, CKM.aesKeyWrapPad];

export type HashName = "sha256" | "sha384" | "sha512";

interface SignatureFacts {
  readonly keys: readonly KeyAlgorithm[];
  readonly hash?: HashName;
  readonly mechanism: MechanismSpec;
  /** Goes before the digest: DigestInfo of RFC 8017 §9.2, which the mechanism CKM_RSA_PKCS leaves to the caller. */
  readonly prefix?: string;
}

const RSA: readonly KeyAlgorithm[] = ["rsa-2048", "rsa-3072", "rsa-4096"];
const ECDSA: MechanismSpec = { type: CKM.ecdsa };
const DIGEST_INFO: Readonly<Record<HashName, string>> = {
  sha256: "3031300d060960864801650304020105000420",
  sha384: "3041300d060960864801650304020205000430",
  sha512: "3051300d060960864801650304020305000440",
};
const pss = (hash: HashName, saltBytes: number): SignatureFacts => ({
  keys: RSA,
  hash,
  mechanism: { type: CKM.rsaPkcsPss, pss: { hash: CKM[hash], mgf: CKG_MGF1[hash], saltBytes } },
});
const pkcs1 = (hash: HashName): SignatureFacts => ({
  keys: RSA,
  hash,
  mechanism: { type: CKM.rsaPkcs },
  prefix: DIGEST_INFO[hash],
});

/** Every scheme works on what is hashed already, but for Ed25519, which hashes by itself. */
export const SIGNATURES: Readonly<Record<SignatureAlgorithm, SignatureFacts>> = {
  "ecdsa-p256-sha256": { keys: ["ecdsa-p256"], hash: "sha256", mechanism: ECDSA },
  "ecdsa-p384-sha384": { keys: ["ecdsa-p384"], hash: "sha384", mechanism: ECDSA },
  "ecdsa-secp256k1-sha256": { keys: ["secp256k1"], hash: "sha256", mechanism: ECDSA },
  ed25519: { keys: ["ed25519"], mechanism: { type: CKM.eddsa } },
  "rsa-pss-sha256": pss("sha256", 32),
  "rsa-pss-sha384": pss("sha384", 48),
  "rsa-pss-sha512": pss("sha512", 64),
  "rsa-pkcs1-sha256": pkcs1("sha256"),
  "rsa-pkcs1-sha384": pkcs1("sha384"),
  "rsa-pkcs1-sha512": pkcs1("sha512"),
};

/** The schemes that a key can sign with, the default first. */
export function schemesOf(algorithm: KeyAlgorithm): SignatureAlgorithm[] {
  return (Object.keys(SIGNATURES) as SignatureAlgorithm[]).filter((scheme) =>
    SIGNATURES[scheme].keys.includes(algorithm),
  );
}

export const MACS: Readonly<Record<MacAlgorithm, { mechanism: number; bytes: number }>> = {
  "hmac-sha256": { mechanism: CKM.sha256Hmac, bytes: 32 },
  "hmac-sha384": { mechanism: CKM.sha384Hmac, bytes: 48 },
  "hmac-sha512": { mechanism: CKM.sha512Hmac, bytes: 64 },
};

/** What a key is here; `undefined` for one that this package has no name for. */
export function algorithmOf(facts: KeyFacts): KeyAlgorithm | undefined {
  const { keyType, valueLength = 0, modulus = "", ecParams = "" } = facts;
  const isSecret = facts.class === CKO.secretKey;
  switch (keyType) {
    case CKK.aes:
      return isSecret && valueLength === 32 ? "aes-256-gcm" : undefined;
    case CKK.genericSecret:
      // A generic secret does not say for which hash it is; its length does.
      return isSecret && valueLength >= 32 ? hmacOf(valueLength) : undefined;
    case CKK.sha256Hmac:
      return "hmac-sha256";
    case CKK.sha384Hmac:
      return "hmac-sha384";
    case CKK.sha512Hmac:
      return "hmac-sha512";
    case CKK.rsa:
      return RSA.find(
        (algorithm) => algorithm === `rsa-${modulus.replace(/^(00)+/, "").length * 4}`,
      );
    case CKK.ec:
    case CKK.ecEdwards:
      return curveOf(ecParams);
    default:
      return undefined;
  }
}

const hmacOf = (bytes: number): KeyAlgorithm =>
  bytes >= 64 ? "hmac-sha512" : bytes >= 48 ? "hmac-sha384" : "hmac-sha256";

/** What a key may do, by its own flags; the first is what a description says. */
export function usagesOf(facts: KeyFacts, algorithm: KeyAlgorithm): KeyUsage[] {
  if (algorithm === "aes-256-gcm") return ["encryption"];
  if (algorithm.startsWith("hmac")) return ["mac"];
  if (!algorithm.startsWith("rsa")) return ["signing"];
  return [
    ...(facts.sign ? (["signing"] as const) : []),
    ...(facts.decrypt ? (["encryption"] as const) : []),
  ];
}

/** CloudHSM takes 16 KiB in one call, and no other token less. */
const MAX_PLAINTEXT_BYTES = 16 * 1024;
const MAX_AAD_BYTES = 4 * 1024;

/** What RSA-OAEP holds beside the 32-byte digest that binds purpose and AAD. RFC 8017 §7.1.1: k − 2h − 2. */
export function maxOaepBytes(modulusBytes: number, hash: OaepHash): number {
  return modulusBytes - 2 * OAEP_BYTES[hash] - 2 - 32;
}

/** What the token offers; without a token, which may be away for a while, all that this package knows. */
export function capabilitiesOf(
  open: OpenToken | undefined,
  oaepHash: OaepHash,
  keyWrap: KeyWrap,
): ProviderCapabilities {
  const can = (type: number, flags: number): boolean => {
    if (open === undefined) return true;
    const found = open.mechanisms.find((each) => each.type === type);
    return found !== undefined && (found.flags & flags) === flags;
  };
  const gcm = can(CKM.aesGcm, CKF.encrypt | CKF.decrypt);
  const oaep =
    can(CKM.rsaPkcsOaep, CKF.encrypt | CKF.decrypt) &&
    (oaepHash === "sha1" || (open?.probes.oaepSha256 ?? true));
  const onCurve = (algorithm: KeyAlgorithm): boolean =>
    algorithm !== "secp256k1" || (open?.probes.secp256k1 ?? true);
  const signatures = (Object.keys(SIGNATURES) as SignatureAlgorithm[]).filter((scheme) => {
    const { keys, mechanism } = SIGNATURES[scheme];
    return can(mechanism.type, CKF.sign) && keys.every(onCurve);
  });
  const macs = (Object.keys(MACS) as MacAlgorithm[]).filter((mac) =>
    can(MACS[mac].mechanism, CKF.sign),
  );
  const signs = (algorithm: KeyAlgorithm): boolean =>
    signatures.some((scheme) => SIGNATURES[scheme].keys.includes(algorithm));
  const makes = (type: number, algorithms: readonly KeyAlgorithm[]): KeyAlgorithm[] =>
    can(type, CKF.generate) || can(type, CKF.generateKeyPair) ? [...algorithms] : [];
  const keyAlgorithms = [
    ...makes(CKM.aesKeyGen, gcm ? ["aes-256-gcm"] : []),
    ...makes(CKM.genericSecretKeyGen, macs),
    ...makes(CKM.ecKeyPairGen, (["ecdsa-p256", "ecdsa-p384", "secp256k1"] as const).filter(signs)),
    ...makes(CKM.ecEdwardsKeyPairGen, (["ed25519"] as const).filter(signs)),
    ...makes(CKM.rsaPkcsKeyPairGen, RSA.filter(signs)),
  ];
  const operations: Operation[] = [];
  if (gcm || oaep) operations.push("encrypt", "decrypt", "wrapKey", "unwrapKey");
  if (signatures.length > 0) operations.push("sign", "verify", "getPublicKey");
  if (macs.length > 0) operations.push("mac", "verifyMac");
  if (keyAlgorithms.length > 0) operations.push("createKey");
  operations.push("describeKey", "listKeys");
  if (open?.token.rng ?? true) operations.push("random");
  operations.push("health");
  // A 2048-bit key is the least that is known here, and what a key of another kind takes is no promise for all.
  const oaepBytes = maxOaepBytes(256, oaepHash);
  return {
    operations,
    keyAlgorithms,
    signatureAlgorithms: signatures,
    macAlgorithms: macs,
    aad: true,
    wrapAad: keyWrap === "aes-gcm",
    maxPlaintextBytes: gcm ? MAX_PLAINTEXT_BYTES : oaepBytes,
    maxAadBytes: MAX_AAD_BYTES,
    maxWrapBytes: gcm ? 4096 : oaepBytes,
    signDigest: true,
    protection: open?.token.hardware === true ? "hsm" : "software",
    remote: true,
  };
}

import {
  type CryptoProvider,
  type MacAlgorithm,
  type Operation,
  type SignatureAlgorithm,
  utf8,
} from "@lango/crypto-core";
import { rejectsWith } from "./assertions.ts";
import type { CheckContext, Harness, HarnessKeys, Need } from "./harness.ts";

/** The signature schemes of the contract, each with its hash. */
export const SIGNATURE_ALGORITHMS: Readonly<
  Record<SignatureAlgorithm, "sha256" | "sha384" | "sha512" | undefined>
> = {
  "ecdsa-p256-sha256": "sha256",
  "ecdsa-p384-sha384": "sha384",
  "ecdsa-secp256k1-sha256": "sha256",
  ed25519: undefined,
  "rsa-pss-sha256": "sha256",
  "rsa-pss-sha384": "sha384",
  "rsa-pss-sha512": "sha512",
  "rsa-pkcs1-sha256": "sha256",
  "rsa-pkcs1-sha384": "sha384",
  "rsa-pkcs1-sha512": "sha512",
};

/** The MAC algorithms of the contract, each with the bytes of a MAC. */
export const MAC_ALGORITHMS: Readonly<Record<MacAlgorithm, number>> = {
  "hmac-sha256": 32,
  "hmac-sha384": 48,
  "hmac-sha512": 64,
};

const isSignature = (need: Need): need is SignatureAlgorithm =>
  Object.hasOwn(SIGNATURE_ALGORITHMS, need);
const isMac = (need: Need): need is MacAlgorithm => Object.hasOwn(MAC_ALGORITHMS, need);

/** Tells whether a provider offers what a check stands on. */
export function offers({ capabilities }: CryptoProvider, need: Need): boolean {
  if (isSignature(need)) return capabilities.signatureAlgorithms.includes(need);
  if (isMac(need)) return capabilities.macAlgorithms.includes(need);
  switch (need) {
    case "aad":
    case "wrapAad":
    case "signDigest":
      return capabilities[need];
    case "disabledKey":
    // The client lets every provider answer for its health.
    case "health":
      return true;
    default:
      return capabilities.operations.includes(need);
  }
}

/** Names the key that a check needs and the harness does not have, or `undefined`. */
export function absentKey({ keys }: Harness, need: Need): string | undefined {
  if (isSignature(need))
    return keys.signing?.[need] === undefined ? `a key for ${need}` : undefined;
  if (isMac(need)) return keys.mac?.[need] === undefined ? `a key for ${need}` : undefined;
  const [field, what] = KEYS_BY_NEED[need] ?? [];
  return field !== undefined && keys[field] === undefined ? what : undefined;
}

const AEAD = ["aead", "two keys for encryption"] as const;
const SIGNING = ["signing", "a signing key"] as const;
const MAC = ["mac", "a MAC key"] as const;
const KEYS_BY_NEED: Partial<Record<Need, readonly [keyof HarnessKeys, string]>> = {
  encrypt: AEAD,
  decrypt: AEAD,
  wrapKey: AEAD,
  unwrapKey: AEAD,
  rewrapKey: AEAD,
  sign: SIGNING,
  verify: SIGNING,
  getPublicKey: SIGNING,
  mac: MAC,
  verifyMac: MAC,
  rotateKey: ["rotatable", "a key that may be rotated"],
  createKey: ["fresh", "the id of a key that may be created"],
  disabledKey: ["disabled", "a disabled key"],
};

/** Asserts that the client refuses what the provider does not offer. */
export async function assertRefused(context: CheckContext, need: Need): Promise<void> {
  const call = refusedCall(context, need);
  await rejectsWith("ERR_UNSUPPORTED", call, `${need}, which the provider does not offer`);
}

function refusedCall({ client, keys }: CheckContext, need: Need): () => Promise<unknown> {
  const bytes = utf8("sixteen bytes ..");
  const signingKey = Object.values(keys.signing ?? {})[0] ?? keys.missing;
  const keyId = keys.aead?.[0] ?? signingKey;
  if (isSignature(need)) {
    return () => client.sign({ keyId: signingKey, message: bytes, algorithm: need });
  }
  if (isMac(need)) return () => client.createKey({ algorithm: need, usage: "mac" });
  const calls: Record<Operation | "aad" | "wrapAad" | "signDigest", () => Promise<unknown>> = {
    aad: () => client.encrypt({ keyId, plaintext: bytes, aad: bytes }),
    wrapAad: () => client.wrapKey({ keyId, key: bytes, aad: bytes }),
    signDigest: () => client.sign({ keyId: signingKey, digest: new Uint8Array(32) }),
    encrypt: () => client.encrypt({ keyId, plaintext: bytes }),
    decrypt: () => client.decrypt({ keyId, ciphertext: bytes }),
    sign: () => client.sign({ keyId: signingKey, message: bytes }),
    verify: () => client.verify({ keyId: signingKey, message: bytes, signature: bytes }),
    mac: () => client.mac({ keyId, message: bytes }),
    verifyMac: () => client.verifyMac({ keyId, message: bytes, mac: bytes }),
    wrapKey: () => client.wrapKey({ keyId, key: bytes }),
    unwrapKey: () => client.unwrapKey({ keyId, wrappedKey: bytes }),
    rewrapKey: () => client.rewrapKey({ keyId, toKeyId: keyId, wrappedKey: bytes }),
    getPublicKey: () => client.getPublicKey({ keyId: signingKey }),
    createKey: () => client.createKey({ algorithm: "aes-256-gcm", usage: "encryption" }),
    rotateKey: () => client.rotateKey({ keyId }),
    describeKey: () => client.describeKey({ keyId }),
    listKeys: async () => client.listKeys({})[Symbol.asyncIterator]().next(),
    random: () => client.random({ bytes: 16 }),
    health: () => client.health({}),
  };
  return calls[need as keyof typeof calls];
}

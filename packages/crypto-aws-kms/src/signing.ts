import { createHash } from "node:crypto";
import {
  type Bytes,
  CryptoError,
  type CryptoProvider,
  ECDSA_CURVES,
  type EcdsaKeyAlgorithm,
  type KeyDescription,
  type KeyRequest,
  normalizeLowS,
  type Operation,
  type Signable,
  type SignatureAlgorithm,
  signatureFromDer,
  signatureToDer,
  toPlain,
} from "@lango/crypto-core";
import { SCHEMES, type Scheme, type SchemeFacts, schemesOf } from "./algorithms.ts";
import { checkKey, present } from "./answers.ts";
import { isNamed } from "./errors.ts";
import { checkVersion, type Key, type Keys } from "./keys.ts";
import type { Session } from "./session.ts";

type Signing = Required<Pick<CryptoProvider, "sign" | "verify" | "getPublicKey">>;
type SigningRequest = KeyRequest & {
  readonly algorithm?: SignatureAlgorithm | undefined;
  readonly keyVersion?: string | undefined;
};

/** Sign, Verify and GetPublicKey. KMS is sent digests only, so a message may have any length. */
export function createSigning(session: Session, keys: Keys): Signing {
  const find = async (
    operation: Operation,
    { keyId, algorithm, keyVersion }: SigningRequest,
  ): Promise<{ key: KeyDescription; scheme: Scheme; facts: SchemeFacts }> => {
    const found = await keys.find(operation, keyId, "signing");
    const key = found.description;
    checkVersion(operation, key, keyVersion);
    const scheme = chooseScheme(operation, found, algorithm);
    return { key, scheme, facts: SCHEMES[scheme] };
  };

  return {
    sign: (request) =>
      session.run("sign", request, async () => {
        const { key, scheme, facts } = await find("sign", request);
        const input = {
          KeyId: key.keyId,
          Message: digestOf(facts, request),
          MessageType: "DIGEST" as const,
          SigningAlgorithm: facts.spec,
        };
        const answer = await session.send("Sign", input, request.signal);
        checkKey(key.keyId, answer.KeyId, "sign");
        const signature = fromKms(facts, present(answer.Signature, "sign", "signature"));
        return { signature, algorithm: scheme, keyId: key.keyId, keyVersion: key.keyVersion };
      }),
    verify: (request) =>
      session.run("verify", request, async () => {
        const { key, facts } = await find("verify", request);
        const digest = digestOf(facts, request);
        // A signature of another length is no signature; KMS would call it an ill-formed request.
        if (request.signature.length !== signatureBytes(key, facts)) return false;
        const input = {
          KeyId: key.keyId,
          Message: digest,
          MessageType: "DIGEST" as const,
          Signature: facts.ecdsa ? signatureToDer(request.signature) : request.signature,
          SigningAlgorithm: facts.spec,
        };
        try {
          const answer = await session.send("Verify", input, request.signal);
          checkKey(key.keyId, answer.KeyId, "verify");
          return answer.SignatureValid === true;
        } catch (error) {
          if (isNamed(error, "KMSInvalidSignatureException")) return false;
          throw error;
        }
      }),
    getPublicKey: (request) =>
      session.run("getPublicKey", request, async () => {
        const { description: key } = await keys.find("getPublicKey", request.keyId, "signing");
        checkVersion("getPublicKey", key, request.keyVersion);
        const answer = await session.send("GetPublicKey", { KeyId: key.keyId }, request.signal);
        checkKey(key.keyId, answer.KeyId, "getPublicKey");
        const publicKey = toPlain(present(answer.PublicKey, "getPublicKey", "public key"));
        const { algorithm, keyId, keyVersion } = key;
        return { publicKey, algorithm, keyId, keyVersion };
      }),
  };
}

function chooseScheme(
  operation: Operation,
  { description: { keyId, algorithm }, signingAlgorithms }: Key,
  wanted: SignatureAlgorithm | undefined,
): Scheme {
  const schemes = schemesOf(algorithm);
  const scheme = wanted === undefined ? schemes[0] : schemes.find((each) => each === wanted);
  // A key may list fewer schemes than its kind has; which one it lists first says nothing.
  const listed =
    scheme !== undefined && (signingAlgorithms?.includes(SCHEMES[scheme].spec) ?? true);
  if (scheme !== undefined && listed) return scheme;
  const message =
    schemes.length === 0
      ? `AWS KMS signs messages with ${algorithm} keys, not digests`
      : `Key ${keyId} is ${algorithm} and does not sign with ${wanted ?? scheme}`;
  throw new CryptoError("ERR_UNSUPPORTED", message, {
    context: { provider: "aws-kms", operation, keyId },
  });
}

function digestOf(
  { hash, hashBytes, spec }: SchemeFacts,
  { message, digest }: Signable,
): Uint8Array {
  if (digest === undefined) return createHash(hash).update(message).digest();
  if (digest.length === hashBytes) return digest;
  // KMS's answer to this is a ValidationException; it would not sign something else.
  throw new CryptoError(
    "ERR_INVALID_ARGUMENT",
    `${spec} signs a digest of ${hashBytes} bytes, not of ${digest.length}`,
    { context: { provider: "aws-kms" } },
  );
}

function signatureBytes({ algorithm }: KeyDescription, { ecdsa }: SchemeFacts): number {
  if (ecdsa !== undefined) return 2 * ECDSA_CURVES[ecdsa].scalarBytes;
  // RFC 8017 §8.1.1: as long as the modulus.
  return Number(algorithm.slice("rsa-".length)) / 8;
}

/** r‖s from KMS's DER, for secp256k1 with the low s, since KMS gives a high one about every other time. */
function fromKms({ ecdsa }: SchemeFacts, signature: Uint8Array): Bytes {
  if (ecdsa === undefined) return toPlain(signature);
  const raw = readDer(signature, ecdsa);
  return ecdsa === "secp256k1" ? normalizeLowS(raw, ecdsa) : raw;
}

function readDer(signature: Uint8Array, algorithm: EcdsaKeyAlgorithm): Bytes {
  try {
    return signatureFromDer(signature, algorithm);
  } catch {
    // The fault is the answer's, not the caller's.
    throw new CryptoError("ERR_INTEGRITY", "AWS KMS sign: the answer is no DER signature", {
      context: { provider: "aws-kms", operation: "sign" },
    });
  }
}

import { randomBytes, randomUUID } from "node:crypto";
import { type CreateKeyRequest, type KeyAlgorithm, toHex } from "@lango/crypto-core";
import type { KeyWrap } from "./algorithms.ts";
import { CKA, CKK, CKM, CKO } from "./constants.ts";
import type { AttributeValue, Calls } from "./protocol.ts";
import { ecParams } from "./public-key.ts";
import type { KeyName } from "./uri.ts";

/** A key to be made: its name, complete, and the call that makes it. */
export interface NewKey {
  readonly object: string;
  readonly id: string;
  readonly class: number;
  readonly ask: Calls["generate"]["ask"];
}

const HMAC_BYTES: Partial<Record<KeyAlgorithm, number>> = {
  "hmac-sha256": 32,
  "hmac-sha384": 48,
  "hmac-sha512": 64,
};

/** Templates for a key that stays on the token, shows itself to nobody, and may do what it is for and nothing else. */
export function newKey(
  { algorithm, usage }: CreateKeyRequest,
  name: KeyName,
  keyWrap: KeyWrap,
): NewKey {
  const object = name.object ?? randomUUID();
  const id = name.id ?? toHex(new Uint8Array(randomBytes(16)));
  const common: AttributeValue[] = [
    { type: CKA.token, value: true },
    { type: CKA.label, value: { hex: Buffer.from(object).toString("hex") } },
    { type: CKA.id, value: { hex: id } },
  ];
  const hidden: AttributeValue[] = [
    ...common,
    { type: CKA.private, value: true },
    { type: CKA.sensitive, value: true },
    { type: CKA.extractable, value: false },
  ];
  const may = (type: number, value: boolean): AttributeValue => ({ type, value });
  const bytes = algorithm === "aes-256-gcm" ? 32 : HMAC_BYTES[algorithm];
  if (bytes !== undefined) {
    const isAes = algorithm === "aes-256-gcm";
    // A key that both wraps and decrypts gives away extractable keys of the token: only where it is asked for.
    const wraps = isAes && keyWrap === "aes-kwp";
    const secret = [
      ...hidden,
      { type: CKA.class, value: CKO.secretKey },
      { type: CKA.keyType, value: isAes ? CKK.aes : CKK.genericSecret },
      { type: CKA.valueLength, value: bytes },
      may(CKA.encrypt, isAes),
      may(CKA.decrypt, isAes),
      may(CKA.wrap, wraps),
      may(CKA.unwrap, wraps),
      may(CKA.sign, !isAes),
      may(CKA.verify, !isAes),
      may(CKA.derive, false),
    ];
    const mechanism = isAes ? CKM.aesKeyGen : CKM.genericSecretKeyGen;
    return { object, id, class: CKO.secretKey, ask: { mechanism, secret } };
  }
  const signs = usage === "signing";
  // What a curve cannot do anyway, tpm2-pkcs11 does not want to hear of.
  const isRsa = algorithm.startsWith("rsa");
  const privateKey = [
    ...hidden,
    may(CKA.sign, signs),
    ...(isRsa ? [may(CKA.decrypt, !signs)] : []),
    may(CKA.unwrap, false),
    may(CKA.derive, false),
  ];
  const publicKey: AttributeValue[] = [
    ...common,
    may(CKA.verify, signs),
    ...(isRsa ? [may(CKA.encrypt, !signs)] : []),
    may(CKA.wrap, false),
    ...parametersOf(algorithm),
  ];
  const ask = { mechanism: generatorOf(algorithm), pair: { publicKey, privateKey } };
  return { object, id, class: CKO.privateKey, ask };
}

function parametersOf(algorithm: KeyAlgorithm): AttributeValue[] {
  if (!algorithm.startsWith("rsa")) {
    return [{ type: CKA.ecParams, value: { hex: ecParams(algorithm) } }];
  }
  return [
    { type: CKA.modulusBits, value: Number(algorithm.slice(4)) },
    { type: CKA.publicExponent, value: { hex: "010001" } },
  ];
}

function generatorOf(algorithm: KeyAlgorithm): number {
  if (algorithm.startsWith("rsa")) return CKM.rsaPkcsKeyPairGen;
  return algorithm === "ed25519" ? CKM.ecEdwardsKeyPairGen : CKM.ecKeyPairGen;
}

import { createDiffieHellmanGroup, createHash } from "node:crypto";
import type { Handle, PKCS11, Template } from "pkcs11js";
import { TokenFailure } from "./child-failure.ts";
import { mechanismOf } from "./child-mechanism.ts";
import { CKA, CKG_MGF1, CKK, CKM, CKO } from "./constants.ts";
import type { MechanismFacts, ProbeResults } from "./protocol.ts";

/** What a list of mechanisms does not say: which curves and which hashes. Needs no login and leaves nothing behind. */
export function probe(
  native: typeof import("pkcs11js"),
  module: PKCS11,
  session: Handle,
  mechanisms: readonly MechanismFacts[],
): ProbeResults {
  const lists = (type: number): boolean => mechanisms.some((each) => each.type === type);
  return {
    // A token where it cannot be tried has it hardly ever.
    secp256k1: lists(CKM.ecdsa) && (verifiesSecp256k1(module, session) ?? false),
    // And this one nearly always.
    oaepSha256: lists(CKM.rsaPkcsOaep) && (encryptsWithOaepSha256(native, module, session) ?? true),
  };
}

/** A known answer: the signature of SHA-256("sample") by the private key 1, whose public key is the base point. */
const SECP256K1 = {
  params: "06052b8104000a",
  point:
    "044104" +
    "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798" +
    "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8",
  signature:
    "58db657bcd631038bea07b4941172f0167aca98f12b55e3176bd1c35435d6501" +
    "3a78e73d8ff8ab554e13c10f6390d81a882f91945d6275493882676170b53a57",
};

function verifiesSecp256k1(module: PKCS11, session: Handle): boolean | undefined {
  const template = [
    { type: CKA.class, value: CKO.publicKey },
    { type: CKA.keyType, value: CKK.ec },
    { type: CKA.verify, value: true },
    { type: CKA.ecParams, value: Buffer.from(SECP256K1.params, "hex") },
    { type: CKA.ecPoint, value: Buffer.from(SECP256K1.point, "hex") },
  ];
  return succeedsWith(module, session, template, (key) => {
    module.C_VerifyInit(session, { mechanism: CKM.ecdsa }, key);
    const digest = createHash("sha256").update("sample").digest();
    return module.C_Verify(session, digest, Buffer.from(SECP256K1.signature, "hex"));
  });
}

function encryptsWithOaepSha256(
  native: typeof import("pkcs11js"),
  module: PKCS11,
  session: Handle,
): boolean | undefined {
  const template = [
    { type: CKA.class, value: CKO.publicKey },
    { type: CKA.keyType, value: CKK.rsa },
    { type: CKA.encrypt, value: true },
    // Nobody will decrypt it, so any odd number of 2048 bits will do; this one is at hand (RFC 3526 §3).
    { type: CKA.modulus, value: createDiffieHellmanGroup("modp14").getPrime() },
    { type: CKA.publicExponent, value: Buffer.from("010001", "hex") },
  ];
  return succeedsWith(module, session, template, (key) => {
    const oaep = { hash: CKM.sha256, mgf: CKG_MGF1.sha256 };
    const mechanism = mechanismOf(native, { type: CKM.rsaPkcsOaep, oaep });
    module.C_EncryptInit(session, mechanism, key);
    return module.C_Encrypt(session, Buffer.alloc(32), Buffer.alloc(256)).length === 256;
  });
}

/**
 * The number under which the token has AES key wrap with padding (RFC 5649): the first of those that gives a known
 * answer. A token may have something else under the same number.
 *
 * @throws TokenFailure `MECHANISM_ABSENT` if none does.
 */
export function keyWrapMechanism(
  module: PKCS11,
  session: Handle,
  candidates: readonly number[],
): number {
  const found = candidates.find((mechanism) => wrapsAsRfc5649(module, session, mechanism));
  if (found === undefined) throw new TokenFailure("MECHANISM_ABSENT");
  return found;
}

/**
 * By OpenSSL. The examples of RFC 5649 have keys of 20 and 7 bytes, and SoftHSM pads such to whole blocks of 8 before it
 * wraps, so that they come back longer; lengths in whole blocks are as the RFC says.
 */
const KNOWN_WRAP = {
  kek: "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
  key: "c37b7e6492584340bed12207808941155068f73800000000",
  wrapped: "cf1e485360e1a8126f524d01771677f9400edb4d074f14116988d71e1588e367",
};

function wrapsAsRfc5649(module: PKCS11, session: Handle, mechanism: number): boolean {
  const secret = (keyType: number, value: string): Template => [
    { type: CKA.class, value: CKO.secretKey },
    { type: CKA.keyType, value: keyType },
    { type: CKA.wrap, value: true },
    { type: CKA.sensitive, value: false },
    { type: CKA.extractable, value: true },
    { type: CKA.value, value: Buffer.from(value, "hex") },
  ];
  const wraps = succeedsWith(module, session, secret(CKK.aes, KNOWN_WRAP.kek), (kek) => {
    const right = succeedsWith(
      module,
      session,
      secret(CKK.genericSecret, KNOWN_WRAP.key),
      (key) => {
        const wrapped = module.C_WrapKey(session, { mechanism }, kek, key, Buffer.alloc(64));
        return wrapped.toString("hex") === KNOWN_WRAP.wrapped;
      },
    );
    return right === true;
  });
  return wraps === true;
}

/** Whether something works with a session object, which is gone afterwards; `undefined` if there can be no such object. */
function succeedsWith(
  module: PKCS11,
  session: Handle,
  template: Template,
  work: (object: Handle) => boolean,
): boolean | undefined {
  let object: Handle;
  try {
    object = module.C_CreateObject(session, [
      { type: CKA.token, value: false },
      { type: CKA.private, value: false },
      ...template,
    ]);
  } catch {
    return undefined;
  }
  try {
    return work(object);
  } catch {
    return false;
  } finally {
    destroy(module, session, object);
  }
}

function destroy(module: PKCS11, session: Handle, object: Handle): void {
  try {
    module.C_DestroyObject(session, object);
  } catch {
    // It goes with the session.
  }
}

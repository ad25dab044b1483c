import type { AesGCM, Mechanism, RsaOAEP, RsaPSS } from "pkcs11js";
import type { MechanismSpec } from "./protocol.ts";

/** CKZ_DATA_SPECIFIED: the label of OAEP is given, and empty. */
const DATA_SPECIFIED = 1;

/**
 * A mechanism as pkcs11js takes it.
 *
 * @param iv - Of AES-GCM; the memory itself goes to the module, which may write into it.
 */
export function mechanismOf(
  native: typeof import("pkcs11js"),
  { type, gcm, pss, oaep }: MechanismSpec,
  iv: Buffer = Buffer.alloc(0),
  aad: Buffer = Buffer.alloc(0),
): Mechanism {
  if (gcm !== undefined) {
    // Of the three structures that pkcs11js has, the one of PKCS#11 2.40 with ulIvBits: NSS takes no other.
    const parameter: AesGCM = {
      type: native.CK_PARAMS_AES_GCM_v240,
      iv,
      ivBits: iv.length * 8,
      aad,
      tagBits: gcm.tagBits,
    };
    return { mechanism: type, parameter };
  }
  if (pss !== undefined) {
    const { hash: hashAlg, mgf, saltBytes: saltLen } = pss;
    const parameter: RsaPSS = { type: native.CK_PARAMS_RSA_PSS, hashAlg, mgf, saltLen };
    return { mechanism: type, parameter };
  }
  if (oaep !== undefined) {
    const parameter: RsaOAEP = {
      type: native.CK_PARAMS_RSA_OAEP,
      hashAlg: oaep.hash,
      mgf: oaep.mgf,
      source: DATA_SPECIFIED,
    };
    return { mechanism: type, parameter };
  }
  return { mechanism: type };
}

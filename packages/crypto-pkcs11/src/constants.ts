/** Numbers of PKCS#11 2.40 and 3.0 that this package uses, so that only the child loads the native package. */

export const CKO = { publicKey: 2, privateKey: 3, secretKey: 4 } as const;

export const CKK = {
  rsa: 0x00,
  ec: 0x03,
  genericSecret: 0x10,
  aes: 0x1f,
  sha256Hmac: 0x2b,
  sha384Hmac: 0x2c,
  sha512Hmac: 0x2d,
  ecEdwards: 0x40,
} as const;

export const CKM = {
  rsaPkcsKeyPairGen: 0x00,
  rsaPkcs: 0x01,
  rsaPkcsOaep: 0x09,
  rsaPkcsPss: 0x0d,
  sha1: 0x220,
  sha256: 0x250,
  sha256Hmac: 0x251,
  sha384: 0x260,
  sha384Hmac: 0x261,
  sha512: 0x270,
  sha512Hmac: 0x271,
  genericSecretKeyGen: 0x350,
  ecKeyPairGen: 0x1040,
  ecdsa: 0x1041,
  ecEdwardsKeyPairGen: 0x1055,
  eddsa: 0x1057,
  aesKeyGen: 0x1080,
  aesGcm: 0x1087,
  // RFC 5649: PKCS#11 3.0 has 0x210b for it. SoftHSM has it under 0x210a, which NSS uses for something else.
  aesKeyWrapKwp: 0x210b,
  aesKeyWrapPad: 0x210a,
} as const;

export const CKG_MGF1 = { sha1: 1, sha256: 2, sha384: 3, sha512: 4 } as const;

export const CKA = {
  class: 0x000,
  token: 0x001,
  private: 0x002,
  label: 0x003,
  value: 0x011,
  keyType: 0x100,
  id: 0x102,
  sensitive: 0x103,
  encrypt: 0x104,
  decrypt: 0x105,
  wrap: 0x106,
  unwrap: 0x107,
  sign: 0x108,
  verify: 0x10a,
  derive: 0x10c,
  modulus: 0x120,
  modulusBits: 0x121,
  publicExponent: 0x122,
  valueLength: 0x161,
  extractable: 0x162,
  modifiable: 0x170,
  ecParams: 0x180,
  ecPoint: 0x181,
  alwaysAuthenticate: 0x202,
} as const;

/** Flags of a mechanism: what it may be used for. */
export const CKF = {
  hardwareSlot: 0x4,
  encrypt: 0x100,
  decrypt: 0x200,
  sign: 0x800,
  verify: 0x2000,
  generate: 0x8000,
  generateKeyPair: 0x10000,
  wrap: 0x20000,
  unwrap: 0x40000,
} as const;

export {
  AES_KEY_BYTES,
  createAesKey,
  NONCE_BYTES,
  openAesGcm,
  sealAesGcmInto,
  TAG_BYTES,
} from "./aead.ts";
export {
  bytesEqual,
  concat,
  fromBase64,
  fromBase64Url,
  fromHex,
  toBase64,
  toBase64Url,
  toHex,
  toPlain,
  utf8,
  zero,
} from "./bytes.ts";
export {
  CryptoError,
  type CryptoErrorCode,
  type CryptoErrorOptions,
  decryptionFailed,
  ERROR_CODES,
  type ErrorContext,
  isCryptoError,
} from "./errors.ts";
export { formatKeyUri, type KeyUri, MAX_KEY_URI_BYTES, parseKeyUri } from "./key-uri.ts";
export type * from "./provider.ts";
export { randomBytesFresh } from "./random.ts";
export {
  ECDSA_CURVES,
  type EcdsaKeyAlgorithm,
  normalizeLowS,
  signatureFromDer,
  signatureToDer,
} from "./signature.ts";

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
  isBytes,
  parts,
  toBase64,
  toBase64Url,
  toHex,
  toPlain,
  utf8,
  zero,
} from "./bytes.ts";
export {
  type CallEvent,
  type CryptoClient,
  type CryptoClientOptions,
  createCryptoClient,
} from "./client.ts";
export {
  type CompositeOptions,
  createComposite,
  type FallbackOptions,
  type SwitchEvent,
} from "./composite.ts";
export { connectionFault } from "./connection-fault.ts";
export { raceSignal } from "./decorate.ts";
export {
  CryptoError,
  type CryptoErrorCode,
  type CryptoErrorOptions,
  decryptionFailed,
  ERROR_CODES,
  type ErrorContext,
  isCryptoError,
  isUnavailable,
  toCryptoError,
} from "./errors.ts";
export { callHook } from "./hooks.ts";
export { formatKeyUri, type KeyUri, parseKeyUri } from "./key-uri.ts";
export { type LoadProviderOptions, loadProvider } from "./load-provider.ts";
export {
  type Bytes,
  type CallOptions,
  type ConfigSchema,
  type CreateKeyRequest,
  type CryptoProvider,
  type DecryptRequest,
  type EncryptRequest,
  type EncryptResult,
  type HealthReport,
  type HealthRequest,
  type KeyAlgorithm,
  type KeyDescription,
  type KeyRequest,
  type KeyResult,
  type KeyState,
  type KeyUsage,
  type MacAlgorithm,
  type MacRequest,
  type MacResult,
  OPERATIONS,
  type Operation,
  type ProtectionLevel,
  type ProviderCapabilities,
  type ProviderEnv,
  type ProviderModule,
  type PublicKeyRequest,
  type PublicKeyResult,
  type RandomRequest,
  type RewrapKeyRequest,
  type Signable,
  type SignatureAlgorithm,
  type SignRequest,
  type SignResult,
  type UnwrapKeyRequest,
  type VerifyMacRequest,
  type VerifyRequest,
  type WrapKeyRequest,
  type WrapKeyResult,
} from "./provider.ts";
export { fillRandomFresh, randomBytesFresh } from "./random.ts";
export {
  type CircuitBreakerOptions,
  type CircuitState,
  type CircuitStateChange,
  withCircuitBreaker,
} from "./resilience/circuit-breaker.ts";
export { type DeadlineOptions, withDeadline } from "./resilience/deadline.ts";
export { type HealthCacheOptions, withHealthCache } from "./resilience/health-cache.ts";
export {
  createResilientProvider,
  type ResilienceOptions,
} from "./resilience/resilient-provider.ts";
export { type RetryOptions, withRetry } from "./resilience/retry.ts";
export {
  ECDSA_CURVES,
  type EcdsaKeyAlgorithm,
  normalizeLowS,
  signatureFromDer,
  signatureToDer,
} from "./signature.ts";
export { SIGNATURE_SCHEMES, type SignatureScheme, verifySignature } from "./verify.ts";

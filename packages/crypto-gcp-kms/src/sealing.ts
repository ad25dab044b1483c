import {
  type Bytes,
  type CryptoErrorCode,
  isCryptoError,
  type KeyRequest,
  type KeyResult,
  type Operation,
} from "@lango/crypto-core";
import { PURPOSES } from "./algorithms.ts";
import {
  checksumOf,
  requireFlag,
  requireName,
  requireVersion,
  verifiedBytes,
  withIntegrity,
} from "./checksum.ts";
import { fail, stateError } from "./errors.ts";
import { type KeyName, versionName } from "./names.ts";
import type { Scope, Service } from "./service.ts";

type SealRequest = KeyRequest & { readonly aad?: Uint8Array | undefined };
const NO_AAD = new Uint8Array();

/** `encrypt` and `decrypt` of the service, which are `wrapKey` and `unwrapKey` too. */
export interface Sealing {
  seal(
    operation: "encrypt" | "wrapKey",
    request: SealRequest,
    plaintext: Uint8Array,
  ): Promise<KeyResult & { readonly sealed: Bytes }>;
  open(
    operation: "decrypt" | "unwrapKey",
    request: SealRequest,
    sealed: Uint8Array,
  ): Promise<Bytes>;
}

export const createSealing = (service: Service): Sealing => ({
  seal: (operation, request, plaintext) =>
    service.run(operation, request, async (scope) => {
      const key = service.keyOf(request.keyId);
      // The checksums are of the caller's bytes, before anything could alter them.
      const aad = request.aad ?? NO_AAD;
      const sent = {
        name: key.version === undefined ? key.key : versionName(key.key, key.version),
        plaintext,
        plaintextCrc32c: checksumOf(plaintext),
        additionalAuthenticatedData: aad,
        additionalAuthenticatedDataCrc32c: checksumOf(aad),
      };
      return await withIntegrity(() =>
        explained(service, key, scope, async () => {
          const response = await service.call("encrypt", sent, scope);
          requireFlag("the plaintext", response.verifiedPlaintextCrc32c);
          requireFlag("the AAD", response.verifiedAdditionalAuthenticatedDataCrc32c);
          const keyVersion = requireVersion(response.name, key.key);
          if (key.version !== undefined) requireName(response.name, sent.name);
          const sealed = verifiedBytes(
            "ciphertext",
            response.ciphertext,
            response.ciphertextCrc32c,
          );
          return { sealed, keyId: key.key, keyVersion };
        }),
      );
    }),

  open: (operation, request, sealed) =>
    service.run(operation, request, async (scope) => {
      const key = service.keyOf(request.keyId);
      const aad = request.aad ?? NO_AAD;
      const sent = {
        // Never a version: the ciphertext names its own, and the service refuses another name here.
        name: key.key,
        ciphertext: sealed,
        ciphertextCrc32c: checksumOf(sealed),
        additionalAuthenticatedData: aad,
        additionalAuthenticatedDataCrc32c: checksumOf(aad),
      };
      return await withIntegrity(() =>
        explained(service, key, scope, async () => {
          const response = await service.call("decrypt", sent, scope);
          return verifiedBytes("plaintext", response.plaintext, response.plaintextCrc32c);
        }),
      );
    }),
});

/**
 * Tells apart what FAILED_PRECONDITION and, for `encrypt`, INVALID_ARGUMENT mean by a look at the key: its purpose, or
 * the state of its primary version where the answer did not name one. A decryption that failed is not looked into: a
 * forgery must cost no more.
 */
const explained = async <T>(
  service: Service,
  { key }: KeyName,
  scope: Scope,
  work: () => Promise<T>,
): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    if (!isCryptoError(error) || !UNCLEAR.has(error.code)) throw error;
    // Without the right to look, the first answer is what there is to say.
    const found = await service.call("getCryptoKey", { name: key }, scope).catch(() => undefined);
    if (found?.name !== key) throw error;
    const { purpose, primary } = found;
    if (purpose !== PURPOSES.encryption) {
      throw fail("ERR_KEY_USAGE", `Key ${key} is for ${purpose}, not for encryption`, scope);
    }
    const state = primary?.state ?? "ENABLED";
    // What opens is the version that the ciphertext names, whatever the primary one is.
    if (state === "ENABLED" || OPENS.has(scope.operation)) throw error;
    throw stateError(`Key ${key}`, state, scope);
  }
};
const UNCLEAR: ReadonlySet<CryptoErrorCode> = new Set(["ERR_KEY_DISABLED", "ERR_INVALID_ARGUMENT"]);
const OPENS: ReadonlySet<Operation> = new Set(["decrypt", "unwrapKey"]);

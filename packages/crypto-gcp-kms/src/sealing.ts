import {
  type Bytes,
  type CryptoError,
  isCryptoError,
  type KeyRequest,
  type KeyResult,
  type Operation,
} from "@lango/crypto-core";
import { PURPOSES } from "./algorithms.ts";
import { checksumOf, requireFlag, requireName, verifiedBytes, withIntegrity } from "./checksum.ts";
import {
  FAILED_PRECONDITION,
  fail,
  INVALID_ARGUMENT,
  stateError,
  stateIn,
  statusOf,
} from "./errors.ts";
import { type KeyName, versionName, versionOf } from "./names.ts";
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
      return await withIntegrity(operation, key.key, () =>
        explained(service, key, scope, async (raw) => {
          const response = await service.call("encrypt", sent, scope, raw);
          requireFlag("the plaintext", response.verifiedPlaintextCrc32c);
          requireFlag("the AAD", response.verifiedAdditionalAuthenticatedDataCrc32c);
          const number = versionOf(response.name ?? "");
          requireName(response.name, versionName(key.key, key.version ?? number));
          const sealed = verifiedBytes(
            "ciphertext",
            response.ciphertext,
            response.ciphertextCrc32c,
          );
          return { sealed, keyId: key.key, keyVersion: number };
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
      return await withIntegrity(operation, key.key, () =>
        explained(service, key, scope, async (raw) => {
          const response = await service.call("decrypt", sent, scope, raw);
          return verifiedBytes("plaintext", response.plaintext, response.plaintextCrc32c);
        }),
      );
    }),
});

/**
 * Tells apart what FAILED_PRECONDITION means here, and INVALID_ARGUMENT of `encrypt`: the key's state, named in the
 * message or else asked for, or its purpose. A decryption that failed is not looked into: a forgery must cost no more.
 */
const explained = async <T>(
  service: Service,
  key: KeyName,
  scope: Scope,
  work: (raw: (error: unknown) => void) => Promise<T>,
): Promise<T> => {
  let raw: unknown;
  try {
    return await work((error) => {
      raw = error;
    });
  } catch (error) {
    const status = statusOf(raw);
    const opens = OPENS.has(scope.operation);
    if (status !== FAILED_PRECONDITION && (status !== INVALID_ARGUMENT || opens)) throw error;
    if (!isCryptoError(error)) throw error;
    const state = stateIn(raw);
    if (state !== undefined) throw stateError(`Key ${key.key}`, state, scope);
    throw (await purposeOrState(service, key, scope)) ?? error;
  }
};
const OPENS: ReadonlySet<Operation> = new Set(["decrypt", "unwrapKey"]);

const purposeOrState = async (
  service: Service,
  { key }: KeyName,
  scope: Scope,
): Promise<CryptoError | undefined> => {
  // Without the right to look, the first answer is what there is to say.
  const resource = await service.call("getCryptoKey", { name: key }, scope).catch(() => undefined);
  if (resource?.name !== key) return undefined;
  const { purpose, primary } = resource;
  if (purpose !== PURPOSES.encryption) {
    return fail("ERR_KEY_USAGE", `Key ${key} is for ${purpose}, not for encryption`, scope);
  }
  const state = primary?.state;
  return state && state !== "ENABLED" ? stateError(`Key ${key}`, state, scope) : undefined;
};

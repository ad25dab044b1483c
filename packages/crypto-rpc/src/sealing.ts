import {
  type Bytes,
  type CryptoProvider,
  decryptionFailed,
  type KeyRequest,
  type Operation,
} from "@lango/crypto-core";
import type { Caller } from "./caller.ts";
import type { Scope } from "./errors.ts";
import { checkKeyId, type ResolveKey } from "./keys.ts";
import { MAX_CIPHERTEXT_BYTES, MAX_WRAPPED_BYTES } from "./limits.ts";

type Sealing = Required<Pick<CryptoProvider, "encrypt" | "decrypt" | "wrapKey" | "unwrapKey">>;

/** The operations of encryption keys. */
export const createSealing = (caller: Caller, resolveKey: ResolveKey): Sealing => {
  const scopeOf = (operation: Operation, request: KeyRequest) => {
    const keyId = resolveKey({ operation, keyId: request.keyId });
    return { keyId, scope: { operation, keyId } satisfies Scope };
  };

  return {
    encrypt: async (request) => {
      const { keyId, scope } = scopeOf("encrypt", request);
      const params = { keyId, plaintext: request.plaintext as Bytes, aad: aadOf(request) };
      const answer = await caller.call("encrypt", params, scope, request);
      checkKeyId(answer.keyId, scope);
      return answer;
    },
    decrypt: async (request) => {
      const { keyId, scope } = scopeOf("decrypt", request);
      const { ciphertext, keyVersion } = request;
      // No companion made that.
      if (ciphertext.length > MAX_CIPHERTEXT_BYTES) throw decryptionFailed();
      const params = { keyId, ciphertext: ciphertext as Bytes, aad: aadOf(request), keyVersion };
      return (await caller.call("decrypt", params, scope, request)).plaintext;
    },
    wrapKey: async (request) => {
      const { keyId, scope } = scopeOf("wrapKey", request);
      const params = { keyId, key: request.key as Bytes, aad: aadOf(request) };
      const answer = await caller.call("wrapKey", params, scope, request);
      checkKeyId(answer.keyId, scope);
      return answer;
    },
    unwrapKey: async (request) => {
      const { keyId, scope } = scopeOf("unwrapKey", request);
      const { wrappedKey, keyVersion } = request;
      if (wrappedKey.length > MAX_WRAPPED_BYTES) throw decryptionFailed();
      const params = { keyId, wrappedKey: wrappedKey as Bytes, aad: aadOf(request), keyVersion };
      return (await caller.call("unwrapKey", params, scope, request)).key;
    },
  };
};

/** Absent and empty mean the same. */
const aadOf = ({ aad }: { readonly aad?: Uint8Array | undefined }): Bytes | undefined =>
  aad === undefined || aad.length === 0 ? undefined : (aad as Bytes);

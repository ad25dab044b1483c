import {
  type Bytes,
  type CryptoProvider,
  decryptionFailed,
  isCryptoError,
  type Operation,
  zero,
} from "@lango/crypto-core";
import { oaepLimit } from "./algorithms.ts";
import type { Call, Caller } from "./caller.ts";
import {
  addPurpose,
  frame,
  PURPOSE_BYTES,
  type Purpose,
  takePurpose,
  unframe,
} from "./ciphertext.ts";
import type { AzureEncryptionAlgorithm } from "./config.ts";
import { atVersion, type KeyRef } from "./key-id.ts";
import { checkMay, fail, type KeyVersion, resultBytes } from "./keys.ts";

/** Lengths of what RSA keys make: bare ciphertexts of others have one of them, ours are longer by their header. */
const MODULUS_BYTES = new Set([256, 384, 512]);

type Encryption = Required<Pick<CryptoProvider, "encrypt" | "decrypt" | "wrapKey" | "unwrapKey">>;

interface SealRequest {
  readonly keyId: string;
  readonly aad?: Uint8Array | undefined;
}
interface OpenRequest extends SealRequest {
  readonly keyVersion?: string | undefined;
}

/** encrypt, decrypt, wrapKey and unwrapKey with RSA keys. */
export function createEncryption(
  { run, parse }: Caller,
  algorithm: AzureEncryptionAlgorithm,
): Encryption {
  const seal = async (
    call: Call,
    purpose: Purpose,
    request: SealRequest,
    plaintext: Uint8Array,
  ): Promise<{ sealed: Bytes; keyId: string; keyVersion: string }> => {
    refuseAad(call.operation, request);
    if (algorithm !== "RSA-OAEP-256") {
      const message = "RSA-OAEP with SHA-1 is for reading old data only";
      throw fail(
        "ERR_UNSUPPORTED",
        message,
        call.operation,
        undefined,
        'Set algorithm to "RSA-OAEP-256"',
      );
    }
    return call.use(parse(request.keyId), async (key) => {
      checkMay(key, call.operation, purpose === "wrap" ? "wrapKey" : "encrypt");
      checkLength(call.operation, key, plaintext);
      const padded = addPurpose(purpose, plaintext);
      try {
        const result = await call.compute(key, (client, options) =>
          purpose === "wrap"
            ? client.wrapKey(algorithm, padded, options)
            : client.encrypt({ algorithm, plaintext: padded }, options),
        );
        const encrypted = resultBytes(call.operation, result);
        return { sealed: frame(key.version, encrypted), keyId: key.keyId, keyVersion: key.version };
      } finally {
        zero(padded);
      }
    });
  };

  const open = async (
    call: Call,
    purpose: Purpose,
    request: OpenRequest,
    sealed: Uint8Array,
  ): Promise<Bytes> => {
    refuseAad(call.operation, request);
    const ref = parse(request.keyId);
    if (algorithm === "RSA-OAEP" && MODULUS_BYTES.has(sealed.length)) {
      return openBare(call, purpose, atVersion(ref, request.keyVersion), sealed);
    }
    const { version, encrypted } = unframe(sealed);
    const key = { name: ref.name, version };
    try {
      return takePurpose(purpose, await decrypt(call, purpose, "RSA-OAEP-256", key, encrypted));
    } catch (error) {
      if (!isCryptoError(error) || error.code !== "ERR_KEY_NOT_FOUND") throw error;
    }
    // The version comes from bytes that may be altered: is there such a key at all?
    await call.read({ name: ref.name, version: undefined });
    throw decryptionFailed("The key has no version of that name");
  };

  /** What others have encrypted with SHA-1: no header, no purpose. */
  const openBare = (
    call: Call,
    purpose: Purpose,
    ref: KeyRef,
    encrypted: Uint8Array,
  ): Promise<Bytes> =>
    call.use(ref, async (key) => {
      const decrypted = await decrypt(call, purpose, "RSA-OAEP", key, encrypted);
      try {
        return new Uint8Array(decrypted);
      } finally {
        zero(decrypted);
      }
    });

  return {
    encrypt: (request) =>
      run("encrypt", request, async (call) => {
        const { sealed, ...label } = await seal(call, "encrypt", request, request.plaintext);
        return { ciphertext: sealed, ...label };
      }),
    decrypt: (request) =>
      run("decrypt", request, (call) => open(call, "encrypt", request, request.ciphertext)),
    wrapKey: (request) =>
      run("wrapKey", request, async (call) => {
        const { sealed, ...label } = await seal(call, "wrap", request, request.key);
        return { wrappedKey: sealed, ...label };
      }),
    unwrapKey: (request) =>
      run("unwrapKey", request, (call) => open(call, "wrap", request, request.wrappedKey)),
  };
}

/** The bytes as the SDK gives them, maybe a view of Node's pool: to be copied and zeroed. */
async function decrypt(
  call: Call,
  purpose: Purpose,
  algorithm: AzureEncryptionAlgorithm,
  key: { readonly name: string; readonly version: string },
  encrypted: Uint8Array,
): Promise<Uint8Array> {
  const result = await call.compute(key, (client, options) =>
    purpose === "wrap"
      ? client.unwrapKey(algorithm, encrypted, options)
      : client.decrypt({ algorithm, ciphertext: encrypted }, options),
  );
  return resultBytes(call.operation, result);
}

/** Honoured or refused, never ignored. */
function refuseAad(operation: Operation, { aad, keyId }: SealRequest): void {
  if (aad === undefined || aad.length === 0) return;
  const message = "RSA keys take no associated data (aad)";
  throw fail("ERR_UNSUPPORTED", message, operation, keyId);
}

function checkLength(
  operation: Operation,
  { facts, keyId }: KeyVersion,
  { length }: Uint8Array,
): void {
  const limit = oaepLimit(facts) - PURPOSE_BYTES;
  if (length <= limit) return;
  const message = `${length} bytes are more than the ${limit} that this key encrypts`;
  throw fail("ERR_INVALID_ARGUMENT", message, operation, keyId, "Seal large values in an envelope");
}

import { createHash } from "node:crypto";
import {
  type Bytes,
  CryptoError,
  type CryptoProvider,
  concat,
  decryptionFailed,
  type EncryptRequest,
  type KeyResult,
  type Operation,
  toBase64Url,
  toPlain,
  zero,
} from "@lango/crypto-core";
import { checkKey, ownBytes, present } from "./answers.ts";
import { isSameKey } from "./key-id.ts";
import type { Key, Keys } from "./keys.ts";
import type { Session } from "./session.ts";

/** KMS encrypts 1 to 4096 bytes; one of them goes before each plaintext of `encrypt`. */
export const MAX_KMS_BYTES = 4096;
export const MAX_PLAINTEXT_BYTES: number = MAX_KMS_BYTES - 1;
const MAX_CIPHERTEXT_BYTES = 6144;
/** Goes before each plaintext of `encrypt`, because KMS takes no empty one. */
const LEAD = 1;

/**
 * The encryption context: one pair, whose name says what the ciphertext is, so that what `wrapKey` made is no ciphertext of
 * `encrypt`, and whose value binds the AAD without showing it (the context is plain in CloudTrail). No AAD is the empty one.
 */
const CONTEXT_NAMES = { wrap: "lango-aad", encrypt: "lango-data-aad" } as const;
type Purpose = keyof typeof CONTEXT_NAMES;

function contextOf(purpose: Purpose, aad: Uint8Array = new Uint8Array()): Record<string, string> {
  return { [CONTEXT_NAMES[purpose]]: toBase64Url(createHash("sha256").update(aad).digest()) };
}

/** What this file adds to a provider. */
export type Sealing = Required<
  Pick<CryptoProvider, "encrypt" | "decrypt" | "wrapKey" | "unwrapKey" | "rewrapKey">
>;

/** Encrypt, Decrypt and ReEncrypt with symmetric keys. */
export function createSealing(session: Session, keys: Keys): Sealing {
  const find = async (operation: Operation, keyId: string): Promise<Key> => {
    const key = await keys.find(operation, keyId, "encryption");
    if (key.description.algorithm === "aes-256-gcm") return key;
    const message = `Key ${keyId} is ${key.description.algorithm}: AWS KMS binds no AAD with it`;
    throw new CryptoError("ERR_UNSUPPORTED", message, {
      context: { provider: "aws-kms", operation, keyId },
    });
  };

  const seal = async (
    purpose: Purpose,
    operation: Operation,
    { keyId, aad, signal }: Pick<EncryptRequest, "keyId" | "aad" | "signal">,
    plaintext: Uint8Array,
  ): Promise<KeyResult & { sealed: Bytes }> => {
    const { description } = await find(operation, keyId);
    const input = {
      KeyId: description.keyId,
      Plaintext: plaintext,
      EncryptionContext: contextOf(purpose, aad),
    };
    const answer = await session.send("Encrypt", input, signal);
    checkKey(description.keyId, answer.KeyId, operation);
    const sealed = toPlain(present(answer.CiphertextBlob, operation, "ciphertext"));
    return { sealed, keyId: description.keyId, keyVersion: description.keyVersion };
  };

  const open = async (
    purpose: Purpose,
    operation: Operation,
    { keyId, aad, signal }: Pick<EncryptRequest, "keyId" | "aad" | "signal">,
    sealed: Uint8Array,
  ): Promise<Bytes> => {
    const { description } = await find(operation, keyId);
    checkLength(sealed);
    const input = {
      // KMS would find the key by the ciphertext: whoever made it would choose the key.
      KeyId: description.keyId,
      CiphertextBlob: sealed,
      EncryptionContext: contextOf(purpose, aad),
    };
    const answer = await session.send("Decrypt", input, signal);
    const plaintext = ownBytes(present(answer.Plaintext, operation, "plaintext"));
    if (answer.KeyId === undefined || !isSameKey(description.keyId, answer.KeyId)) {
      zero(plaintext);
      throw decryptionFailed("AWS KMS opened it with another key");
    }
    return plaintext;
  };

  return {
    encrypt: (request) =>
      session.run("encrypt", request, async () => {
        const framed = concat(Uint8Array.of(LEAD), request.plaintext);
        try {
          const { sealed, ...key } = await seal("encrypt", "encrypt", request, framed);
          return { ciphertext: sealed, ...key };
        } finally {
          zero(framed);
        }
      }),
    decrypt: (request) =>
      session.run("decrypt", request, async () => {
        const framed = await open("encrypt", "decrypt", request, request.ciphertext);
        const plaintext = framed.slice(1);
        const lead = framed[0];
        zero(framed);
        if (lead === LEAD) return plaintext;
        zero(plaintext);
        throw decryptionFailed("It is of an unknown format");
      }),
    wrapKey: (request) =>
      session.run("wrapKey", request, async () => {
        const { sealed, ...key } = await seal("wrap", "wrapKey", request, request.key);
        return { wrappedKey: sealed, ...key };
      }),
    unwrapKey: (request) =>
      session.run("unwrapKey", request, () =>
        open("wrap", "unwrapKey", request, request.wrappedKey),
      ),
    rewrapKey: (request) =>
      session.run("rewrapKey", request, async () => {
        const { keyId, toKeyId, wrappedKey, aad, signal } = request;
        const from = (await find("rewrapKey", keyId)).description;
        // A run of its own, so that an error names this key and not the other one.
        const target = { keyId: toKeyId, signal };
        const to = (await session.run("rewrapKey", target, () => find("rewrapKey", toKeyId)))
          .description;
        checkLength(wrappedKey);
        const context = contextOf("wrap", aad);
        const input = {
          SourceKeyId: from.keyId,
          DestinationKeyId: to.keyId,
          CiphertextBlob: wrappedKey,
          SourceEncryptionContext: context,
          DestinationEncryptionContext: context,
        };
        const answer = await session.send("ReEncrypt", input, signal);
        checkKey(from.keyId, answer.SourceKeyId, "rewrapKey");
        checkKey(to.keyId, answer.KeyId, "rewrapKey");
        const sealed = toPlain(present(answer.CiphertextBlob, "rewrapKey", "ciphertext"));
        const { keyVersion } = to;
        return { wrappedKey: sealed, keyId: to.keyId, keyVersion };
      }),
  };
}

/** KMS refuses these lengths as arguments; to the caller they are altered bytes like any others. */
function checkLength({ length }: Uint8Array): void {
  if (length === 0 || length > MAX_CIPHERTEXT_BYTES)
    throw decryptionFailed(`It has ${length} bytes`);
}

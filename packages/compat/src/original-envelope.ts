import { readFileSync, statSync } from "node:fs";
import {
  type Bytes,
  CryptoError,
  createAesKey,
  fromBase64,
  isCryptoError,
  openAesGcm,
  zero,
} from "@lango/crypto-core";
import { derivePassphraseKey, type JsonValue, parseJsonStrict } from "@lango/envelope";
import { fileFault } from "./copy-aside.ts";

/** Of every KDF of the original that names no other number. */
export const ITERATIONS = 100_000;
export const EMPTY: Bytes = new Uint8Array();
const KEY_BYTES = 32;
const VERSION = 1;
const MAX_BYTES = 256 * 1024;
/** Each one costs a derivation. */
const MAX_SLOTS = 32;

/** What `envelope.json` says. */
export interface OriginalEnvelope {
  readonly path: string;
  readonly slots: readonly EnvelopeSlot[];
  /** A change to the envelope that was not seen to its end: the values may be sealed with the old key, or with this one. */
  readonly pendingMigration: boolean;
}

interface EnvelopeSlot {
  readonly type: string;
  readonly iterations: number;
  readonly salt: Bytes;
  readonly nonce: Bytes;
  readonly wrapped: Bytes;
}

/**
 * @returns `undefined` when it is not there.
 * @throws CryptoError `ERR_MALFORMED_ENVELOPE`.
 */
export function readEnvelope(path: string): OriginalEnvelope | undefined {
  let bytes: Buffer;
  try {
    // Reading a named pipe would hang, and a large file take what memory there is.
    const stats = statSync(path);
    if (!stats.isFile()) throw new CryptoError("ERR_CONFIG", `${path} is no regular file`);
    if (stats.size > MAX_BYTES) {
      throw new CryptoError("ERR_MALFORMED_ENVELOPE", `${path} has more than ${MAX_BYTES} bytes`);
    }
    bytes = readFileSync(path);
  } catch (error) {
    if (isCryptoError(error)) throw error;
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw fileFault(path, error);
  }
  try {
    return { path, ...parse(parseJsonStrict(bytes, { maxBytes: MAX_BYTES })) };
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    throw new CryptoError("ERR_MALFORMED_ENVELOPE", `${path}: ${error.message}`, { cause: error });
  }
}

function parse(json: JsonValue): Omit<OriginalEnvelope, "path"> {
  const { version, slots, pending_migration: pending = false } = objectOf(json, "the document");
  if (version !== VERSION) throw malformed("it has another version than 1");
  if (!Array.isArray(slots) || slots.length === 0) throw malformed("it has no slots");
  if (slots.length > MAX_SLOTS) throw malformed(`it has more than ${MAX_SLOTS} slots`);
  return { slots: slots.map(parseSlot), pendingMigration: pending === true };
}

function parseSlot(json: JsonValue): EnvelopeSlot {
  const slot = objectOf(json, "a slot");
  const { type } = slot;
  if (typeof type !== "string") throw malformed("the type of a slot is no text");
  const { iterations } = objectOf(slot["kdf_params"] ?? {}, "kdf_params");
  const bytesOf = (name: string): Bytes => {
    const text = slot[name] ?? "";
    const bytes = typeof text === "string" ? fromBase64(text) : undefined;
    if (bytes === undefined) throw malformed(`${name} of a slot is no base64`);
    return bytes;
  };
  return {
    type,
    iterations: typeof iterations === "number" && iterations > 0 ? iterations : ITERATIONS,
    salt: bytesOf("salt"),
    nonce: bytesOf("nonce"),
    wrapped: bytesOf("wrapped_mk"),
  };
}

function objectOf(json: JsonValue, what: string): { readonly [key: string]: JsonValue } {
  if (typeof json === "object" && json !== null && !Array.isArray(json)) {
    return json as { readonly [key: string]: JsonValue };
  }
  throw malformed(`${what} is no object`);
}

const malformed = (what: string): CryptoError => new CryptoError("ERR_MALFORMED_ENVELOPE", what);

/**
 * Opens the slots of the passphrase, one after the other: PBKDF2-HMAC-SHA-256, then AES-256-GCM without AAD.
 *
 * @returns The master key, 32 bytes, which the caller zeroes.
 * @throws CryptoError `ERR_WRONG_PASSPHRASE`; `ERR_UNSUPPORTED` where no slot is of a passphrase.
 */
export async function unwrapMasterKey(
  { path, slots }: OriginalEnvelope,
  passphrase: Uint8Array,
): Promise<Bytes> {
  const ours = slots.filter(({ type }) => type === "passphrase");
  if (ours.length === 0) {
    throw new CryptoError("ERR_UNSUPPORTED", `${path} has no slot that a passphrase opens`, {
      context: { hint: "Give it one with the program that made it, then try again." },
    });
  }
  for (const { iterations, salt, nonce, wrapped } of ours) {
    const kek = await derive(path, passphrase, salt, iterations);
    try {
      const masterKey = openAesGcm(createAesKey(kek), nonce, EMPTY, wrapped);
      if (masterKey.length === KEY_BYTES) return masterKey;
      zero(masterKey);
    } catch (error) {
      if (!isCryptoError(error)) throw error;
    } finally {
      zero(kek);
    }
  }
  throw new CryptoError(
    "ERR_WRONG_PASSPHRASE",
    `The passphrase opens no slot of ${path}: it is another one, or the file was altered`,
    { context: { hint: "Nothing was changed." } },
  );
}

/** @throws CryptoError `ERR_MALFORMED_ENVELOPE` for costs that nobody chose: a salt of other than 16 to 64 bytes, too many rounds. */
export async function derive(
  path: string,
  passphrase: Uint8Array,
  salt: Bytes,
  iterations: number,
): Promise<Bytes> {
  try {
    return await derivePassphraseKey(passphrase, { name: "pbkdf2-sha256", iterations, salt });
  } catch (cause) {
    if (!isCryptoError(cause) || cause.code !== "ERR_INVALID_ARGUMENT") throw cause;
    throw new CryptoError("ERR_MALFORMED_ENVELOPE", `${path}: ${cause.message}`, { cause });
  }
}

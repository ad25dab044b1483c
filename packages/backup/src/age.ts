import { type Bytes, CryptoError, concat, isCryptoError } from "@lango/crypto-core";
import { Decrypter, Encrypter } from "age-encryption";

/** Whom a backup is for: whoever knows a passphrase, or holds the key of one of the recipients (`age1…`). */
export type Sealing =
  | { readonly passphrase: Uint8Array }
  | { readonly recipients: readonly string[] };

/** What opens a backup: its passphrase, or identities (`AGE-SECRET-KEY-1…`), any of which will do. */
export type Opening =
  | { readonly passphrase: Uint8Array }
  | { readonly identities: readonly string[] };

/** How an age file opens, which its header shows to anybody. */
export type OpenedBy = "passphrase" | "identity";

/** What age itself takes for a passphrase: 2^18 iterations of scrypt, r = 8, which needs 256 MiB. */
const WORK_FACTOR = 18;
/** Far above any real header: 20 recipients take about 4 KiB. */
const MAX_HEADER_BYTES = 64 * 1024;
const FIRST_LINE = "age-encryption.org/v1\n";

/**
 * Encrypts a stream as age does (https://age-encryption.org/v1).
 *
 * Passphrases and identities become strings for the library, which nobody can zero.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for something that is no recipient.
 */
export const seal = async (
  chunks: AsyncIterable<Uint8Array>,
  sealing: Sealing,
  workFactor: number = WORK_FACTOR,
): Promise<AsyncIterable<Uint8Array>> => {
  const encrypter = new Encrypter();
  if ("passphrase" in sealing) {
    encrypter.setPassphrase(textOf(sealing.passphrase));
    encrypter.setScryptWorkFactor(workFactor);
  } else {
    for (const recipient of sealing.recipients) addRecipient(encrypter, recipient);
  }
  return encrypter.encrypt(ReadableStream.from(chunks));
};

const addRecipient = (encrypter: Encrypter, recipient: string): void => {
  try {
    encrypter.addRecipient(recipient);
  } catch (cause) {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      `${JSON.stringify(recipient)} is no age recipient`,
      {
        context: { hint: "A recipient begins with age1; age-keygen -y shows that of a key" },
        cause,
      },
    );
  }
};

/**
 * Decrypts an age file as a stream.
 *
 * @throws {@link CryptoError} `ERR_WRONG_PASSPHRASE` when nothing that was given opens it; `ERR_MALFORMED_ENVELOPE` for what
 *   is no age file; `ERR_INTEGRITY` for one that was altered or cut; `ERR_INVALID_ARGUMENT` for something that is no identity.
 */
export async function* open(
  chunks: AsyncIterable<Uint8Array>,
  opening: Opening,
): AsyncGenerator<Uint8Array> {
  const decrypter = new Decrypter();
  if ("passphrase" in opening) decrypter.addPassphrase(textOf(opening.passphrase));
  else for (const identity of opening.identities) addIdentity(decrypter, identity);
  const { whole } = await checkHeader(chunks);
  let plain: AsyncIterable<Uint8Array>;
  try {
    plain = await decrypter.decrypt(ReadableStream.from(whole));
  } catch (cause) {
    throw headerError(cause);
  }
  try {
    yield* plain;
  } catch (cause) {
    if (isCryptoError(cause)) throw cause;
    throw new CryptoError("ERR_INTEGRITY", "The backup was altered or cut", { cause });
  }
}

const addIdentity = (decrypter: Decrypter, identity: string): void => {
  try {
    decrypter.addIdentity(identity);
  } catch {
    // Its own message might quote the key.
    throw new CryptoError("ERR_INVALID_ARGUMENT", "This is no age identity", {
      context: { hint: "An identity begins with AGE-SECRET-KEY-1, as age-keygen makes it" },
    });
  }
};

/** The library has plain errors with texts; only one of them is about what was given. */
const headerError = (cause: unknown): CryptoError => {
  if (isCryptoError(cause)) return cause;
  const text = cause instanceof Error ? cause.message : "";
  if (text.includes("no identity matched")) {
    return new CryptoError("ERR_WRONG_PASSPHRASE", "Nothing that was given opens the backup", {
      context: {
        hint: "Give the passphrase it was made with, or the key of one of its recipients",
      },
      cause,
    });
  }
  return text.includes("HMAC")
    ? new CryptoError("ERR_INTEGRITY", "The backup was altered", { cause })
    : noAgeFile("its header cannot be read", cause);
};

/** What the header of an age file asks for. @throws {@link CryptoError} `ERR_MALFORMED_ENVELOPE`. */
export const readOpenedBy = async (chunks: AsyncIterable<Uint8Array>): Promise<OpenedBy> => {
  const { header } = await checkHeader(chunks);
  return header.includes("\n-> scrypt ") ? "passphrase" : "identity";
};

interface Checked {
  readonly header: string;
  /** All chunks, those that were read included. */
  readonly whole: AsyncIterable<Uint8Array>;
}

/** The library would read a line without end into memory. */
const checkHeader = async (chunks: AsyncIterable<Uint8Array>): Promise<Checked> => {
  const iterator = chunks[Symbol.asyncIterator]();
  let start: Bytes = new Uint8Array();
  let ended = false;
  while (!ended && start.length < MAX_HEADER_BYTES) {
    const { value, done } = await iterator.next();
    if (done) ended = true;
    else start = concat(start, value);
  }
  const text = Buffer.from(start.subarray(0, MAX_HEADER_BYTES)).toString("latin1");
  const mac = text.indexOf("\n--- ");
  if (!text.startsWith(FIRST_LINE) || mac < 0) throw noAgeFile("it has no header of age");
  async function* whole(): AsyncGenerator<Uint8Array> {
    yield start;
    if (!ended) yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { header: text.slice(0, mac), whole: whole() };
};

const noAgeFile = (found: string, cause?: unknown): CryptoError =>
  new CryptoError("ERR_MALFORMED_ENVELOPE", `This is no age file: ${found}`, {
    context: { hint: "An armored file becomes one with: age --decrypt | age --encrypt" },
    cause,
  });

const textOf = (passphrase: Uint8Array): string => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(passphrase);
  } catch {
    throw new CryptoError("ERR_INVALID_ARGUMENT", "The passphrase is not valid UTF-8");
  }
};

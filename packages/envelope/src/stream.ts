import { createHash, type KeyObject } from "node:crypto";
import {
  type Bytes,
  bytesEqual,
  CryptoError,
  concat,
  createAesKey,
  decryptionFailed,
  NONCE_BYTES,
  openAesGcm,
  randomBytesFresh,
  sealAesGcmInto,
  TAG_BYTES,
  utf8,
  zero,
} from "@lango/crypto-core";
import {
  createCollector,
  createSegmenter,
  type SyncChunkMachine,
  toTransformStream,
} from "./chunks.ts";
import { COMMITMENT_BYTES, DATA_KEY_ID_BYTES, type DataKey, subkeysOf } from "./data-key.ts";
import { hkdf } from "./encoding.ts";
import { checkAad } from "./value.ts";

// LNGS: "LNGS" ‖ suite ‖ log2 of the segment ‖ 2 zeros ‖ data-key id 12 ‖ commitment 32 ‖ salt 32, then the segments.
const SEGMENT_LOG2 = 16;
const PREFIX = Uint8Array.of(0x4c, 0x4e, 0x47, 0x53, 1, SEGMENT_LOG2, 0, 0);
const ID_END = PREFIX.length + DATA_KEY_ID_BYTES;
const IDENTITY_END = ID_END + COMMITMENT_BYTES;
export const STREAM_SALT_BYTES = 32;
/** Bytes before the first segment. */
export const STREAM_HEADER_BYTES: number = IDENTITY_END + STREAM_SALT_BYTES;
/** Bytes of plaintext in each segment but the last. */
export const SEGMENT_BYTES: number = 2 ** SEGMENT_LOG2;
const MAX_SEGMENTS = 2 ** 32;

/** Which data key a stream wants. */
export interface StreamHeader {
  /** 12 bytes. */
  readonly dataKeyId: Bytes;
  /** 32 bytes. */
  readonly commitment: Bytes;
  /** 32 random bytes that make each stream's key its own. */
  readonly salt: Bytes;
}

/**
 * Seals a stream as LNGS: segments of 64 KiB, each AES-256-GCM, under a key of this stream alone.
 *
 * @param aad - 0 to 64 MiB, authenticated, not stored: pass the same bytes to {@link openStream}.
 * @returns A transform from plaintext in chunks of any length to the sealed stream: 84 bytes, and 16 for each segment,
 *   more than the plaintext. At most 2^32 segments (256 TiB), then `ERR_INVALID_ARGUMENT`.
 * @throws {@link CryptoError} `ERR_CLOSED` for a destroyed key. A stream that has begun outlives its data key.
 */
export const sealStream = (key: DataKey, aad: Uint8Array): TransformStream<Uint8Array, Bytes> => {
  const { header, machine } = createStreamSealer(key, aad, randomBytesFresh(STREAM_SALT_BYTES));
  return toTransformStream(async () => ({ machine, first: header }));
};

/**
 * Opens what {@link sealStream} made.
 *
 * @returns A transform that emits each segment once it is authenticated. What was emitted before a fault was authentic,
 *   but only a stream that ends without an error was whole. It fails with `ERR_MALFORMED_ENVELOPE` for what is no LNGS
 *   or ends inside a header or segment, and `ERR_DECRYPTION_FAILED` for another key, other AAD, and bytes that were
 *   altered, moved, repeated, cut off or added.
 * @throws {@link CryptoError} `ERR_CLOSED` for a destroyed key.
 */
export const openStream = (key: DataKey, aad: Uint8Array): TransformStream<Uint8Array, Bytes> => {
  subkeysOf(key);
  checkAad(aad);
  const collector = createCollector();
  let opener: SyncChunkMachine | undefined;
  return toTransformStream(async () => ({
    machine: {
      push: (chunk) => {
        if (opener !== undefined) return opener.push(chunk);
        collector.add(chunk);
        const bytes = collector.bytes();
        if (bytes.length < STREAM_HEADER_BYTES) return [];
        opener = createStreamOpener(key, aad, bytes.slice(0, STREAM_HEADER_BYTES));
        return opener.push(bytes.subarray(STREAM_HEADER_BYTES));
      },
      end: () => {
        if (opener === undefined) throw headerTooShort(collector.bytes().length);
        return opener.end();
      },
    },
  }));
};

/**
 * Reads which data key a stream wants.
 *
 * @param bytes - At least the first 84 bytes of the stream.
 * @throws {@link CryptoError} `ERR_MALFORMED_ENVELOPE` if this is no LNGS.
 */
export const readStreamHeader = (bytes: Uint8Array): StreamHeader => {
  checkFormat(bytes);
  return {
    dataKeyId: new Uint8Array(bytes.subarray(PREFIX.length, ID_END)),
    commitment: new Uint8Array(bytes.subarray(ID_END, IDENTITY_END)),
    salt: new Uint8Array(bytes.subarray(IDENTITY_END, STREAM_HEADER_BYTES)),
  };
};

/**
 * Seals with a salt of the caller's, which must be random and new.
 *
 * @param allocate - Gives the memory of each piece of output. Default: new memory, not zeroed, since all is written.
 */
export const createStreamSealer = (
  key: DataKey,
  aad: Uint8Array,
  salt: Uint8Array,
  allocate: (length: number) => Bytes = (length) =>
    new Uint8Array(Buffer.allocUnsafeSlow(length).buffer),
): { header: Bytes; machine: SyncChunkMachine } => {
  const { identity } = subkeysOf(key);
  const header = concat(PREFIX, identity, salt);
  const segmentKey = deriveStreamKey(key, header, aad);
  const nextNonce = createNonces();
  const machine = createSegmenter(SEGMENT_BYTES, (segments, last) => {
    const length = segments.reduce((sum, segment) => sum + segment.length + TAG_BYTES, 0);
    const out = allocate(length);
    let offset = 0;
    for (const segment of segments) {
      const nonce = nextNonce(last);
      if (nonce === undefined) {
        throw new CryptoError("ERR_INVALID_ARGUMENT", "A stream holds 256 TiB at most");
      }
      sealAesGcmInto(segmentKey, nonce, NO_AAD, segment, out, offset);
      offset += segment.length + TAG_BYTES;
    }
    return [out];
  });
  return { header, machine };
};

/** Opens the segments after `header`, which {@link checkFormat} has not seen yet. */
export const createStreamOpener = (
  key: DataKey,
  aad: Uint8Array,
  header: Uint8Array,
): SyncChunkMachine => {
  checkFormat(header);
  const { identity } = subkeysOf(key);
  if (!bytesEqual(identity, header.subarray(PREFIX.length, IDENTITY_END))) {
    throw decryptionFailed("The commitment is of another data key");
  }
  const segmentKey = deriveStreamKey(key, header, aad);
  const nextNonce = createNonces();
  let first = true;
  const openSegment = (segment: Uint8Array, last: boolean): Bytes => {
    // A last segment without content would let two byte strings stand for one stream; only the empty stream has one.
    if (segment.length < TAG_BYTES || (segment.length === TAG_BYTES && !first)) {
      throw new CryptoError("ERR_MALFORMED_ENVELOPE", "The stream ends inside a segment");
    }
    first = false;
    const nonce = nextNonce(last);
    if (nonce === undefined) {
      throw new CryptoError("ERR_MALFORMED_ENVELOPE", "The stream has more than 2^32 segments");
    }
    return openAesGcm(segmentKey, nonce, NO_AAD, segment);
  };
  return createSegmenter(SEGMENT_BYTES + TAG_BYTES, (segments, last) =>
    segments.map((segment) => openSegment(segment, last)),
  );
};

const NO_AAD = new Uint8Array();

/**
 * The nonces of the segments: u88 counter ‖ 1 for the last segment, else 0. They need no randomness, because the key
 * belongs to this stream alone; their order and their end make reordering and truncation fail (the STREAM construction
 * of Hoang, Reyhanitabar, Rogaway and Vizár, 2015).
 *
 * @returns A function that gives the same memory each time, and `undefined` after 2^32 nonces.
 */
export const createNonces = (start = 0): ((last: boolean) => Bytes | undefined) => {
  const nonce = new Uint8Array(NONCE_BYTES);
  const view = new DataView(nonce.buffer);
  let counter = start;
  return (last) => {
    if (counter >= MAX_SEGMENTS) return undefined;
    view.setUint32(7, counter++);
    nonce[NONCE_BYTES - 1] = last ? 1 : 0;
    return nonce;
  };
};

/** HKDF-SHA-256(data key, salt, "lango/v1/stream" ‖ SHA-256(header ‖ u32 length ‖ AAD)). */
const deriveStreamKey = (key: DataKey, header: Uint8Array, aad: Uint8Array): KeyObject => {
  checkAad(aad);
  const aadLength = new Uint8Array(4);
  new DataView(aadLength.buffer).setUint32(0, aad.length);
  const digest = createHash("sha256").update(header).update(aadLength).update(aad).digest();
  const info = concat(utf8("lango/v1/stream"), digest);
  const bytes = hkdf(subkeysOf(key).root, header.subarray(IDENTITY_END), info);
  const segmentKey = createAesKey(bytes);
  zero(bytes);
  return segmentKey;
};

const checkFormat = (bytes: Uint8Array): void => {
  for (let i = 0; i < PREFIX.length && i < bytes.length; i++) {
    if (bytes[i] !== PREFIX[i]) {
      throw new CryptoError("ERR_MALFORMED_ENVELOPE", `Not a sealed stream: byte ${i} of LNGS`);
    }
  }
  if (bytes.length < STREAM_HEADER_BYTES) throw headerTooShort(bytes.length);
};

const headerTooShort = (length: number): CryptoError =>
  new CryptoError(
    "ERR_MALFORMED_ENVELOPE",
    `A sealed stream begins with ${STREAM_HEADER_BYTES} bytes of header, not ${length}`,
  );

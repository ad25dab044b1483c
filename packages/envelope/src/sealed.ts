import { type Bytes, CryptoError, concat, randomBytesFresh } from "@lango/crypto-core";
import {
  type ChunkMachine,
  createCollector,
  type StartedMachine,
  toTransformStream,
} from "./chunks.ts";
import type { DataKey } from "./data-key.ts";
import { readPrelude } from "./prelude.ts";
import {
  type OpenOptions,
  recipientsMac,
  type SealOptions,
  unwrapDataKey,
  userAad,
  wrapDataKey,
} from "./recipients.ts";
import { createStreamOpener, createStreamSealer, STREAM_SALT_BYTES } from "./stream.ts";
import {
  MAX_VALUE_BYTES,
  openValue,
  readValueHeader,
  SEALED_OVERHEAD_BYTES,
  sealValue,
  VALUE_HEADER_BYTES,
} from "./value.ts";

/**
 * Seals bytes for recipients: LNGR, then LNG1 under a new data key. Needs no vault.
 *
 * @param options.plaintext - 0 to 64 MiB; not changed.
 * @returns The sealed message. Removing a recipient later revokes nothing: whoever could open it may have.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for a length or list out of range; `ERR_UNSUPPORTED` for a provider
 *   that cannot wrap; whatever the first failing provider throws, as every recipient is needed.
 */
export const seal = async (
  options: SealOptions & { readonly plaintext: Uint8Array },
): Promise<Bytes> => {
  const { key, recipients } = await wrapDataKey(options);
  try {
    const value = sealValue(key, options.plaintext, userAad(options.aad));
    const mac = recipientsMac(key, recipients, value.subarray(0, VALUE_HEADER_BYTES));
    return concat(recipients, mac, value);
  } finally {
    key.destroy();
  }
};

/**
 * Opens a sealed message, be it of {@link seal}, {@link createSealStream} or `sealFile`.
 *
 * The recipients that `resolve` knows are asked in the order of the header; only one that is unavailable (or throttled)
 * gives way to the next.
 *
 * @throws {@link CryptoError} `ERR_MALFORMED_ENVELOPE` before any key is used; `ERR_KEY_NOT_FOUND` if `resolve` knows no
 *   recipient; `ERR_DECRYPTION_FAILED` for a wrong key, other AAD or altered bytes; whatever a provider throws.
 */
export const open = async (
  options: OpenOptions & { readonly sealed: Uint8Array },
): Promise<Bytes> => {
  const { sealed } = options;
  const prelude = readPrelude(sealed);
  if (prelude === undefined) throw endsInHeader();
  const body = sealed.subarray(prelude.bodyOffset);
  // What is too short or too long to be a value is refused before a provider is asked.
  if (prelude.body === "LNG1") readValueHeader(body);
  const key = await unwrapDataKey(prelude, options);
  const aad = userAad(options.aad);
  try {
    if (prelude.body === "LNG1") return openValue(key, body, aad);
    const opener = createStreamOpener(key, aad, prelude.header);
    return concat(...opener.push(body.subarray(prelude.header.length)), ...opener.end());
  } finally {
    key.destroy();
  }
};

/**
 * Seals a stream of any length for recipients: LNGR, then LNGS under a new data key.
 *
 * @returns A transform from plaintext to the sealed message; errors as {@link seal}.
 */
export const createSealStream = (options: SealOptions): TransformStream<Uint8Array, Bytes> =>
  toTransformStream(() => startSealing(options));

/**
 * Opens a sealed message of any length as it arrives.
 *
 * @returns A transform to plaintext that emits only what is authenticated; errors as {@link open}. What was emitted
 *   before an error was authentic, but only a stream that ends without one was whole.
 */
export const createOpenStream = (options: OpenOptions): TransformStream<Uint8Array, Bytes> =>
  toTransformStream(async () => ({ machine: createOpener(options) }));

/** The bytes before the first segment, and what makes the segments, in memory from `allocate`. */
export const startSealing = async (
  options: SealOptions,
  allocate?: (length: number) => Bytes,
): Promise<StartedMachine> => {
  const { key, recipients } = await wrapDataKey(options);
  try {
    const salt = randomBytesFresh(STREAM_SALT_BYTES);
    const { header, machine } = createStreamSealer(key, userAad(options.aad), salt, allocate);
    return { machine, first: concat(recipients, recipientsMac(key, recipients, header), header) };
  } finally {
    key.destroy();
  }
};

/** Collects the prelude, finds the data key, then hands over to the opener of the body. */
export const createOpener = (options: OpenOptions): ChunkMachine => {
  const collector = createCollector();
  let body: ChunkMachine | undefined;
  return {
    push: async (chunk): Promise<Bytes[]> => {
      if (body !== undefined) return body.push(chunk);
      collector.add(chunk);
      const bytes = collector.bytes();
      const prelude = readPrelude(bytes);
      if (prelude === undefined) return [];
      const key = await unwrapDataKey(prelude, options);
      const aad = userAad(options.aad);
      if (prelude.body === "LNG1") {
        body = createValueOpener(key, aad);
        return body.push(bytes.subarray(prelude.bodyOffset));
      }
      body = createStreamOpener(key, aad, prelude.header);
      key.destroy();
      return body.push(bytes.subarray(prelude.bodyOffset + prelude.header.length));
    },
    end: () => {
      if (body === undefined) throw endsInHeader();
      return body.end();
    },
  };
};

/** A sealed value has one tag, at its end, so nothing can be emitted before. */
const createValueOpener = (key: DataKey, aad: Uint8Array): ChunkMachine => {
  const collector = createCollector();
  return {
    push: (chunk) => {
      if (collector.bytes().length + chunk.length > MAX_VALUE_BYTES + SEALED_OVERHEAD_BYTES) {
        throw new CryptoError("ERR_MALFORMED_ENVELOPE", "The sealed value is longer than 64 MiB");
      }
      collector.add(chunk);
      return [];
    },
    end: () => {
      try {
        return [openValue(key, collector.bytes(), aad)];
      } finally {
        key.destroy();
      }
    },
  };
};

const endsInHeader = (): CryptoError =>
  new CryptoError("ERR_MALFORMED_ENVELOPE", "The sealed message ends in its header");

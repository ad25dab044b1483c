import { CryptoError } from "@lango/crypto-core";
import { MAC_BYTES, RECIPIENTS_PREFIX_BYTES, readEntriesLength } from "./recipients-header.ts";
import { readStreamHeader, STREAM_HEADER_BYTES } from "./stream.ts";
import { parseValueHeader, VALUE_HEADER_BYTES } from "./value.ts";

/** Everything of a sealed message that stands before the first byte of ciphertext. Views of the message. */
export interface Prelude {
  /** LNGR up to its MAC. */
  readonly recipients: Uint8Array;
  readonly mac: Uint8Array;
  /** What follows: a sealed value or a stream. */
  readonly body: "LNG1" | "LNGS";
  /** The header of the body: 64 or 84 bytes. */
  readonly header: Uint8Array;
  readonly dataKeyId: Uint8Array;
  readonly commitment: Uint8Array;
  /** Where the header of the body begins. */
  readonly bodyOffset: number;
}

/**
 * Reads the prelude.
 *
 * @returns `undefined` while there are too few bytes.
 * @throws {@link CryptoError} `ERR_MALFORMED_ENVELOPE`.
 */
export const readPrelude = (bytes: Uint8Array): Prelude | undefined => {
  if (bytes.length < RECIPIENTS_PREFIX_BYTES) return undefined;
  const macOffset = RECIPIENTS_PREFIX_BYTES + readEntriesLength(bytes);
  const bodyOffset = macOffset + MAC_BYTES;
  const magic = bytes.subarray(bodyOffset, bodyOffset + 4);
  if (magic.length < 4) return undefined;
  const body = String.fromCharCode(...magic);
  if (body !== "LNG1" && body !== "LNGS") {
    throw new CryptoError("ERR_MALFORMED_ENVELOPE", "No LNG1 or LNGS follows the recipients");
  }
  const headerBytes = body === "LNG1" ? VALUE_HEADER_BYTES : STREAM_HEADER_BYTES;
  const header = bytes.subarray(bodyOffset, bodyOffset + headerBytes);
  if (header.length < headerBytes) return undefined;
  const { dataKeyId, commitment } =
    body === "LNG1" ? parseValueHeader(header) : readStreamHeader(header);
  return {
    recipients: bytes.subarray(0, macOffset),
    mac: bytes.subarray(macOffset, bodyOffset),
    body,
    header,
    dataKeyId,
    commitment,
    bodyOffset,
  };
};

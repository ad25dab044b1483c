import { concat } from "@lango/crypto-core";
import { createDataKey, type DataKey } from "@lango/envelope";
import { createStreamSealer } from "../../src/stream.ts";
import { pattern, text, toHex } from "../support.ts";
import { AAD, FAILED, ID, KEY, MALFORMED, SALT, sha256 } from "./common.ts";

export interface LngsVector {
  name: string;
  error?: string;
  key: string;
  id: string;
  aad: string;
  /** The plaintext is this many bytes, byte i = (7 i + floor(i / 256)) mod 256. */
  patternBytes: number;
  salt: string;
  /** SHA-256 of the stream as it is sealed. */
  sealedSha256: string;
  /** The stream itself, when it is short. */
  sealed?: string;
  /** Sealed segments by number, in the order in which they are given to the reader. */
  segments?: number[];
  /** Then: bytes to add at the end, to cut off, and a byte whose lowest bit is flipped. */
  append?: string;
  cut?: number;
  flip?: number;
  /** AAD that the reader is given instead. */
  openAad?: string;
}

const sealStreamFor = (key: DataKey, plaintext: Uint8Array): Uint8Array => {
  const { header, machine } = createStreamSealer(key, AAD, SALT);
  return concat(header, ...machine.push(plaintext), ...machine.end());
};

export const lngsVectors = (): LngsVector[] => {
  const key = createDataKey(KEY, ID);
  const vector = (name: string, size: number, change: Partial<LngsVector> = {}): LngsVector => {
    const sealed = sealStreamFor(key, pattern(size));
    return {
      name,
      key: toHex(KEY),
      id: toHex(ID),
      aad: toHex(AAD),
      patternBytes: size,
      salt: toHex(SALT),
      sealedSha256: sha256(sealed),
      ...(sealed.length <= 300 ? { sealed: toHex(sealed) } : {}),
      ...change,
    };
  };
  const segment = 65_536;
  const bad = (
    name: string,
    error: string,
    size: number,
    change: Partial<LngsVector>,
  ): LngsVector => vector(name, size, { error, ...change });
  return [
    vector("empty", 0),
    vector("one byte", 1),
    vector("100 bytes", 100),
    vector("one byte less than a segment", segment - 1),
    vector("exactly one segment", segment),
    vector("one byte more than a segment", segment + 1),
    vector("three full segments", 3 * segment),
    bad("cut inside the header", MALFORMED, 1, { cut: 18 }),
    bad("header without segments", MALFORMED, 1, { cut: 17 }),
    bad("last segment shorter than a tag", MALFORMED, 1, { cut: 2 }),
    bad("last byte missing", FAILED, 100, { cut: 1 }),
    bad("bytes after the last segment", FAILED, 100, { append: "00" }),
    bad("last segment missing", FAILED, 3 * segment, { segments: [0, 1] }),
    bad("first segment missing", FAILED, 3 * segment, { segments: [1, 2] }),
    bad("segments exchanged", FAILED, 3 * segment, { segments: [1, 0, 2] }),
    bad("segment repeated", FAILED, 3 * segment, { segments: [0, 1, 1, 2] }),
    bad("last segment twice", FAILED, 3 * segment, { segments: [0, 1, 2, 2] }),
    bad("last segment in the middle", FAILED, 3 * segment, { segments: [0, 2, 1] }),
    bad("an empty segment after a full one", FAILED, segment, { append: "00".repeat(16) }),
    bad("wrong magic", MALFORMED, 1, { flip: 3 }),
    bad("other suite", MALFORMED, 1, { flip: 4 }),
    bad("other segment size", MALFORMED, 1, { flip: 5 }),
    bad("reserved byte", MALFORMED, 1, { flip: 7 }),
    bad("other data-key id", FAILED, 1, { flip: 8 }),
    bad("other commitment", FAILED, 1, { flip: 20 }),
    bad("other salt", FAILED, 1, { flip: 52 }),
    bad("altered segment", FAILED, 100, { flip: 84 }),
    bad("altered tag", FAILED, 100, { flip: 199 }),
    bad("other AAD", FAILED, 100, { openAad: toHex(text("Context")) }),
  ];
};

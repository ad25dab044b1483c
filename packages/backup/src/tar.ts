import { type Bytes, CryptoError, utf8 } from "@lango/crypto-core";
import type { ByteReader } from "./byte-reader.ts";

// ustar (POSIX.1-1988), regular files in one folder and nothing else, so that `tar` of any system opens it.

export const BLOCK_BYTES = 512;

/** A file of the archive. */
export interface TarHeader {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
}

/** Offset and length of the fields that matter. */
const FIELDS = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  link: [157, 100],
  magic: [257, 6],
  version: [263, 2],
  prefix: [345, 155],
} as const;
type Field = keyof typeof FIELDS;

/** Sizes from here on have no place in eleven octal digits, and are written as GNU tar does: base 256, first bit set. */
const OCTAL_LIMIT = 8 ** 11;

/** The block before a file; mode 0600, owner 0. */
export const encodeHeader = ({ name, size }: TarHeader, mtimeMs: number): Bytes => {
  const block = new Uint8Array(BLOCK_BYTES);
  const put = (field: Field, bytes: Uint8Array): void => block.set(bytes, FIELDS[field][0]);
  put("name", utf8(name));
  put("mode", utf8("0000600\0"));
  put("uid", utf8("0000000\0"));
  put("gid", utf8("0000000\0"));
  put("size", size < OCTAL_LIMIT ? octal(size, 11) : base256(size));
  put("mtime", octal(Math.floor(mtimeMs / 1000), 11));
  put("type", utf8("0"));
  put("magic", utf8("ustar\0"));
  put("version", utf8("00"));
  put("checksum", utf8(`${checksumOf(block).toString(8).padStart(6, "0")}\0 `));
  return block;
};

const octal = (value: number, digits: number): Bytes =>
  utf8(`${value.toString(8).padStart(digits, "0")}\0`);

const base256 = (value: number): Bytes => {
  const bytes = new Uint8Array(FIELDS.size[1]);
  bytes[0] = 0x80;
  new DataView(bytes.buffer).setBigUint64(4, BigInt(value));
  return bytes;
};

/** The sum of all bytes, those of the checksum itself taken as spaces. */
const checksumOf = (block: Uint8Array): number => {
  const [start, length] = FIELDS.checksum;
  return block.reduce(
    (sum, byte, at) => sum + (at >= start && at < start + length ? 0x20 : byte),
    0,
  );
};

/** What fills the last block of a file. */
export const paddingOf = (size: number): Bytes =>
  new Uint8Array((BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES);

/** What ends an archive. */
export const endOfArchive = (): Bytes => new Uint8Array(2 * BLOCK_BYTES);

/**
 * Reads the next header; `undefined` at the end of the archive, when everything after it was read and found to be zeros.
 *
 * @throws {@link CryptoError} `ERR_MALFORMED_ENVELOPE` for what is no plain file of a plain name: links, folders, devices,
 *   extended headers, paths.
 */
export const readHeader = async (reader: ByteReader): Promise<TarHeader | undefined> => {
  const block = await reader.exactly(BLOCK_BYTES);
  if (block.every((byte) => byte === 0)) {
    await reader.zerosToEnd();
    return undefined;
  }
  const text = (field: Field): string => textOf(block, field);
  if (parseOctal(text("checksum")) !== checksumOf(block)) throw malformed("a header is damaged");
  if (text("magic").trimEnd() !== "ustar") throw malformed("it is no ustar archive");
  const name = text("name");
  const shown = JSON.stringify(name.slice(0, 100));
  const type = block[FIELDS.type[0]];
  if (type !== REGULAR && type !== 0) throw malformed(`${shown} is no regular file`);
  if (text("link") !== "") throw malformed(`${shown} is a link`);
  // A single name: neither a folder above, nor one below, nor a hidden file.
  if (text("prefix") !== "" || !/^[a-z][a-z0-9.-]{0,63}$/.test(name)) {
    throw malformed(`it holds ${shown}, which is no name of a file in a backup`);
  }
  return { name, size: sizeOf(block) };
};

const REGULAR = 0x30;

const textOf = (block: Uint8Array, field: Field): string => {
  const [start, length] = FIELDS[field];
  const bytes = block.subarray(start, start + length);
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString("latin1");
};

const parseOctal = (text: string): number => {
  const digits = text.trim();
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
};

const sizeOf = (block: Uint8Array): number => {
  const [start] = FIELDS.size;
  const size =
    block[start] === 0x80
      ? Number(new DataView(block.buffer, block.byteOffset + start).getBigUint64(4))
      : parseOctal(textOf(block, "size"));
  if (Number.isSafeInteger(size)) return size;
  throw malformed("a size cannot be read");
};

export const malformed = (found: string): CryptoError =>
  new CryptoError("ERR_MALFORMED_ENVELOPE", `This is no backup of lango: ${found}`);

import { type Bytes, concat, utf8 } from "@lango/crypto-core";

/**
 * Joins byte strings and texts (UTF-8) so that no two lists give the same bytes: u32 count ‖ (u32 length ‖ bytes)*, big-endian;
 * `parts` of docs/formats.md.
 */
export const parts = (...items: readonly (Uint8Array | string)[]): Bytes =>
  concat(
    u32(items.length),
    ...items.flatMap((item) => {
      const bytes = typeof item === "string" ? utf8(item) : item;
      return [u32(bytes.length), bytes];
    }),
  );

const u32 = (value: number): Bytes => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
};

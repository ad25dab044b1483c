import { createHash } from "node:crypto";
import { type Bytes, toPlain } from "@lango/crypto-core";

/** SHA-256 (FIPS 180-4), 32 bytes. */
export const sha256 = (...chunks: readonly Uint8Array[]): Bytes => {
  const hash = createHash("sha256");
  for (const chunk of chunks) hash.update(chunk);
  return toPlain(hash.digest());
};

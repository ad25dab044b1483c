import { type Bytes, CryptoError } from "@lango/crypto-core";
import type { CustomTypesConfig } from "pg";

// Numbers of types in PostgreSQL's catalogue pg_type.
const BOOL = 16;
const BYTEA = 17;
const INT8 = 20;
const INT4 = 23;

const PARSERS: Readonly<Record<number, (text: string) => unknown>> = {
  [BOOL]: (text) => text === "t",
  [BYTEA]: parseBytes,
  [INT8]: parseInteger,
  [INT4]: parseInteger,
};

const asText = (text: string): string => text;

/** How columns become values: those that the tables have, and those of questions to the catalogue; all else stays text. */
export const types: CustomTypesConfig = {
  getTypeParser: (oid) => PARSERS[oid] ?? asText,
};

function parseInteger(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw new CryptoError("ERR_INTEGRITY", "The database has a number beyond 2^53");
}

/** `\x` and hex digits, into memory of its own (small Buffers share a pool). */
function parseBytes(text: string): Bytes {
  const bytes = new Uint8Array((text.length - 2) / 2);
  Buffer.from(bytes.buffer).write(text.slice(2), "hex");
  return bytes;
}

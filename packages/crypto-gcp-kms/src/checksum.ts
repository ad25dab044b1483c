import { crc32c } from "@aws-crypto/crc32c";
import { type Bytes, fromBase64, isBytes } from "@lango/crypto-core";
import type { BytesField, Int64Field } from "./client.ts";
import { parseKeyName } from "./names.ts";

/** A response that is not what the service sent, or a request that it did not get as we sent it. */
export class IntegrityMismatch extends Error {}

/** Attempts after the first one; the service's guide says "a limited number". */
const RETRIES = 3;

/** CRC-32C (Castagnoli, RFC 3720 §12.1) of a request field, as the `Int64Value` that the service takes. */
export const checksumOf = (bytes: Uint8Array): { readonly value: number } => ({
  value: crc32c(bytes),
});

/**
 * The bytes of a response field, copied to memory of their own; the SDK's copy is zeroed.
 *
 * @throws `IntegrityMismatch` if the checksum is absent or another.
 */
export const verifiedBytes = (name: string, field: BytesField, checksum: Int64Field): Bytes => {
  const bytes = bytesOf(field);
  if (bytes === undefined) throw new IntegrityMismatch(`${name} is missing`);
  verifyChecksum(name, bytes, checksum);
  return bytes;
};

/** @throws `IntegrityMismatch` if the checksum is absent or another. */
export const verifyChecksum = (name: string, bytes: Uint8Array, checksum: Int64Field): void => {
  const expected = uint32Of(checksum);
  // Absent is not 0, which is the checksum of no bytes.
  if (expected === undefined) throw new IntegrityMismatch(`${name} came without its checksum`);
  if (expected !== crc32c(bytes)) throw new IntegrityMismatch(`${name} has another checksum`);
};

/** @throws `IntegrityMismatch` unless the service says that it got and compared the checksum; absent says no. */
export const requireFlag = (name: string, flag: boolean | null | undefined): void => {
  if (flag !== true) throw new IntegrityMismatch(`the service did not verify ${name}`);
};

/** @throws `IntegrityMismatch` if the answer is about another resource than the one that was named. */
export const requireName = (actual: string | null | undefined, expected: string): void => {
  if (actual !== expected) throw new IntegrityMismatch("the response names another resource");
};

/**
 * The number in the name of a version of this key.
 *
 * @throws `IntegrityMismatch` if the answer is about another key.
 */
export const requireVersion = (actual: string | null | undefined, key: string): string => {
  const name = parseKeyName(actual ?? "");
  requireName(name?.key, key);
  if (name?.version === undefined) throw new IntegrityMismatch("the response names no version");
  return name.version;
};

/**
 * Makes a call that checks its response, at most three times more while it throws `IntegrityMismatch`. When that stays,
 * the operation ends with `ERR_INTEGRITY`: neither retryable nor a reason for a fallback.
 */
export const withIntegrity = async <T>(call: () => Promise<T>): Promise<T> => {
  for (let attempt = 0; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof IntegrityMismatch) || attempt === RETRIES) throw error;
    }
  }
};

const bytesOf = (field: BytesField): Bytes | undefined => {
  if (field === null || field === undefined) return undefined;
  if (typeof field === "string") return fromBase64(field);
  const bytes = new Uint8Array(field);
  if (isBytes(field)) field.fill(0);
  return bytes;
};

/** An `Int64Value` of whatever decoder, as an unsigned 32-bit number. */
const uint32Of = (field: Int64Field): number | undefined => {
  if (field === null || field === undefined || field === "") return undefined;
  if (typeof field === "object" && !("low" in field)) return uint32Of(field.value as Int64Field);
  // Long: the low half, which may be signed; the high half is 0 for every checksum.
  if (typeof field === "object") return field.high === 0 ? field.low >>> 0 : undefined;
  const number = Number(field);
  return Number.isInteger(number) && number >= 0 && number <= 0xffffffff ? number : undefined;
};

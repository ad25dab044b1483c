import assert from "node:assert/strict";
import { type Bytes, type CryptoErrorCode, isCryptoError } from "@lango/crypto-core";
import { createDataKey, type DataKey } from "@lango/envelope";

export const bytes = (length: number, fill = 0): Bytes => new Uint8Array(length).fill(fill);
/** Bytes that differ from place to place. */
export const pattern = (length: number, start = 0): Bytes =>
  Uint8Array.from({ length }, (_, i) => (start + i * 7 + (i >> 8)) & 0xff);
export const hex = (text: string): Bytes => new Uint8Array(Buffer.from(text, "hex"));
export const text = (value: string): Bytes => new Uint8Array(Buffer.from(value));
export const toHex = (value: Uint8Array): string => Buffer.from(value).toString("hex");

export const testKey = (fill = 1): DataKey =>
  createDataKey(bytes(32, fill), bytes(12, 0xa0 + fill));

/** The code of the error that `run` throws or rejects with; fails when there is none or it is no CryptoError. */
export const codeOf = async (run: () => unknown): Promise<CryptoErrorCode> =>
  (await errorOf(run)).code;

export const errorOf = async (
  run: () => unknown,
): Promise<Error & { code: CryptoErrorCode; context: { hint?: string } }> => {
  try {
    await run();
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    return error;
  }
  throw new Error("nothing was thrown");
};

/** A plain Uint8Array that owns all of its memory. */
export const expectPlain = (value: Uint8Array): void => {
  assert.equal(Object.getPrototypeOf(value), Uint8Array.prototype);
  assert.equal(value.byteLength, value.buffer.byteLength);
};

export const collect = async (stream: ReadableStream<Uint8Array>): Promise<Bytes> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
};

/** Sends chunks through a transform. */
export const through = (
  transform: TransformStream<Uint8Array, Bytes>,
  chunks: Iterable<Uint8Array>,
): Promise<Bytes> => collect(ReadableStream.from<Uint8Array>(chunks).pipeThrough(transform));

/** Cuts bytes at the given places. */
export const cut = (value: Uint8Array, places: readonly number[]): Uint8Array[] => {
  const sorted = [0, ...places.map((at) => at % (value.length + 1)), value.length].sort(
    (a, b) => a - b,
  );
  return sorted.slice(1).map((end, i) => value.subarray(sorted[i], end));
};

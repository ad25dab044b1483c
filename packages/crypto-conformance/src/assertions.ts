import assert from "node:assert/strict";
import { type CryptoError, type CryptoErrorCode, isCryptoError } from "@lango/crypto-core";

/** Asserts that a call rejects with a `CryptoError` of one of the codes, and returns it. */
export async function rejectsWith(
  codes: CryptoErrorCode | readonly CryptoErrorCode[],
  call: () => Promise<unknown>,
  what: string,
): Promise<CryptoError> {
  const error = await rejectionOf(call, what);
  assert.ok(isCryptoError(error), `${what}: rejected with ${error}, which is no CryptoError`);
  const expected = [codes].flat();
  assert.ok(
    expected.includes(error.code),
    `${what}: rejected with ${error.code}, not ${expected.join(" or ")}`,
  );
  return error;
}

/** Asserts that a call rejects, and returns what with. A method that throws instead is a fault too. */
export async function rejectionOf(call: () => Promise<unknown>, what: string): Promise<unknown> {
  let promise: Promise<unknown>;
  try {
    promise = call();
  } catch (error) {
    assert.fail(`${what}: threw ${error} instead of rejecting`);
  }
  let result: unknown;
  try {
    result = await promise;
  } catch (error) {
    return error;
  }
  assert.fail(`${what}: resolved with ${typeof result} instead of rejecting`);
}

/** Asserts that bytes are equal without printing them: they may be plaintext. */
export function assertBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  assert.ok(
    Buffer.compare(actual, expected) === 0,
    `${what}: ${actual.length} bytes that are not the expected ${expected.length}`,
  );
}

/** Asserts that a result is a plain `Uint8Array` over memory of its own. */
export function assertOwnBytes(
  result: Uint8Array,
  inputs: readonly Uint8Array[],
  what: string,
): void {
  const type = Object.getPrototypeOf(result);
  assert.ok(type === Uint8Array.prototype, `${what} is a ${type?.constructor?.name}`);
  assert.ok(
    result.buffer instanceof ArrayBuffer && result.buffer.byteLength === result.byteLength,
    `${what} is a view of a larger buffer`,
  );
  for (const input of inputs) {
    assert.notEqual(result.buffer, input.buffer, `${what} shares memory with an input`);
  }
}

/** A copy with one bit of one byte changed. */
export function flip(bytes: Uint8Array, index: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[index] = (copy[index] ?? 0) ^ 1;
  return copy;
}

/** The indexes 0 to `length − 1`, or 16 of them: the first, the last and some between. */
export function indexes(length: number, every: boolean): number[] {
  const all = Array.from({ length }, (_, index) => index);
  if (every || length <= 16) return all;
  return Array.from({ length: 16 }, (_, index) => Math.round((index * (length - 1)) / 15));
}

/** Bytes that look like nothing else, another pattern for each seed. */
export function pattern(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (seed * 89 + index * 131 + (index >> 8)) & 0xff);
}

import { nodeCrypto } from "./node-crypto.ts";
import type { Bytes } from "./provider.ts";

const DEVICE = "/dev/urandom";

// Bytes of OpenSSL's generator, each used once, in batches because a call costs more than the read of the device.
const mask = new Uint8Array(4096);
let maskUsed = mask.length;

let device: number | undefined;
let deviceTried = false;

/**
 * `length` random bytes for keys, nonces, salts and ids, from the operating system at each call.
 *
 * The generator inside Node is seeded once in a while, so a machine that is cloned or restored while it runs draws the
 * same bytes twice, and a repeated nonce breaks AES-GCM. The system's device knows of the clone. Its bytes are XORed with
 * Node's, so that the result is good when either is: should other code close our descriptor and the number be given
 * to some file, Node's bytes remain. Where there is no such device (Windows, or Node's permission model forbids it)
 * the bytes are Node's alone.
 */
export const randomBytesFresh = (length: number): Bytes => {
  const out = new Uint8Array(length);
  fillRandomFresh(out, 0, length);
  return out;
};

/** {@link randomBytesFresh} into `length` bytes of `out` at `offset`, which must be zeros: saves the hot path an array. */
export const fillRandomFresh = (out: Uint8Array, offset: number, length: number): void => {
  const end = offset + length;
  readDevice(out, offset, end);
  for (let at = offset; at < end; ) {
    if (maskUsed === mask.length) {
      nodeCrypto().randomFillSync(mask);
      maskUsed = 0;
    }
    const stop = Math.min(end, at + mask.length - maskUsed);
    // Forgotten as they are used: XORed with a key in memory they would give the device's half of it.
    for (; at < stop; at++, maskUsed++) {
      out[at]! ^= mask[maskUsed]!;
      mask[maskUsed] = 0;
    }
  }
};

let fs: typeof import("node:fs") | undefined;

/** Fills `out` from `offset` to `end` from the device; leaves zeros where it cannot. */
const readDevice = (out: Uint8Array, offset: number, end: number): void => {
  fs ??= process.getBuiltinModule("node:fs");
  if (!deviceTried) {
    deviceTried = true;
    device = openDevice(fs);
  }
  if (device === undefined) return;
  try {
    for (let at = offset; at < end; ) {
      const read = fs.readSync(device, out, at, end - at, null);
      if (read === 0) break;
      at += read;
    }
  } catch {
    // Closed by other code: open it anew at the next call.
    deviceTried = false;
  }
};

const openDevice = (fs: typeof import("node:fs")): number | undefined => {
  try {
    const descriptor = fs.openSync(DEVICE, "r");
    if (fs.fstatSync(descriptor).isCharacterDevice()) return descriptor;
    fs.closeSync(descriptor);
  } catch {
    // No such device here.
  }
  return undefined;
};

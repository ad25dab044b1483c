import { type Bytes, zero } from "@lango/crypto-core";
import { inspectDescriptor, readDescriptor } from "./descriptor.ts";
import { parseMasterKey } from "./parse-master-key.ts";

/**
 * Reads a master key from a descriptor, for a slot that does not exist yet, and closes it.
 *
 * @param source - How errors name it, e.g. `--key-fd 3`.
 * @returns 32 bytes; the caller zeroes them.
 * @throws CryptoError `ERR_INVALID_ARGUMENT` for a descriptor that is not open; `ERR_CONFIG` as {@link parseMasterKey}.
 */
export async function readMasterKey(fd: number, source: string): Promise<Bytes> {
  const text = await readDescriptor(fd, inspectDescriptor(fd, source), { source });
  try {
    return parseMasterKey(text ?? new Uint8Array(), source);
  } finally {
    zero(text);
  }
}

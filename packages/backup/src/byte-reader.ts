import { CryptoError } from "@lango/crypto-core";

/** Reads a stream of bytes in pieces of the sizes that are asked for. */
export interface ByteReader {
  /** @throws {@link CryptoError} `ERR_INTEGRITY` when the stream ends before. */
  exactly(length: number): Promise<Uint8Array>;
  /** The next `length` bytes, as they come. @throws as {@link exactly}. */
  pieces(length: number): AsyncGenerator<Uint8Array>;
  /** Reads to the end. @throws {@link CryptoError} `ERR_MALFORMED_ENVELOPE` when there is anything but zeros. */
  zerosToEnd(): Promise<void>;
}

export const createByteReader = (chunks: AsyncIterable<Uint8Array>): ByteReader => {
  const iterator = chunks[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array();

  /** The next bytes, at most `length`; `undefined` at the end. */
  const next = async (length: number): Promise<Uint8Array | undefined> => {
    while (rest.length === 0) {
      const { value, done } = await iterator.next();
      if (done) return undefined;
      rest = value;
    }
    const piece = rest.subarray(0, length);
    rest = rest.subarray(length);
    return piece;
  };

  async function* pieces(length: number): AsyncGenerator<Uint8Array> {
    let left = length;
    while (left > 0) {
      const piece = await next(left);
      if (!piece) throw new CryptoError("ERR_INTEGRITY", "The backup ends too early: it was cut");
      left -= piece.length;
      yield piece;
    }
  }

  return {
    pieces,
    async exactly(length) {
      const whole = new Uint8Array(length);
      let at = 0;
      for await (const piece of pieces(length)) {
        whole.set(piece, at);
        at += piece.length;
      }
      return whole;
    },
    async zerosToEnd() {
      for (;;) {
        const piece = await next(Number.POSITIVE_INFINITY);
        if (!piece) return;
        if (piece.some((byte) => byte !== 0)) {
          throw new CryptoError("ERR_MALFORMED_ENVELOPE", "The backup has something after its end");
        }
      }
    },
  };
};

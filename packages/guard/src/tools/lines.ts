import type { Bytes } from "@lango/crypto-core";

const LINE_FEED = 0x0a;
/** A longer line goes out in pieces. */
const MAX_LINE_BYTES = 64 * 1024;
/** How far back a piece of a long line may end, so that no match of a pattern lies across its end. */
const MAX_BACK = 4 * 1024;

/** Gathers a stream of bytes into whole lines. */
export interface Lines {
  /** Takes bytes; gives what ends with a line, or with a piece of a long one. Good until the next call. */
  push(bytes: Uint8Array): Uint8Array;
  /** What is left. */
  end(): Uint8Array;
}

export const createLines = (): Lines => {
  let memory: Bytes = new Uint8Array(1024);
  /** The bytes that were given out last, whose memory is free now, and the end of those that are held. */
  let given = 0;
  let length = 0;

  const add = (bytes: Uint8Array): void => {
    if (given > 0) {
      memory.copyWithin(0, given, length);
      length -= given;
      given = 0;
    }
    if (length + bytes.length > memory.length) {
      const old = memory;
      memory = new Uint8Array(Math.max(2 * old.length, length + bytes.length));
      memory.set(old.subarray(0, length));
    }
    memory.set(bytes, length);
    length += bytes.length;
  };

  return {
    push(bytes) {
      add(bytes);
      const lineEnd = bytes.lastIndexOf(LINE_FEED) + 1;
      if (lineEnd > 0) given = length - bytes.length + lineEnd;
      if (length - given > MAX_LINE_BYTES) given = placeToCut(memory.subarray(0, length));
      return memory.subarray(0, given);
    },
    end() {
      const rest = memory.subarray(given, length);
      given = length;
      return rest;
    },
  };
};

/** Behind the last byte that no personal data has in it; else before the last character, of which more may come. */
const placeToCut = (bytes: Uint8Array): number => {
  const least = bytes.length - MAX_BACK;
  for (let at = bytes.length; at > least; at--) if (isBetween(bytes[at - 1]!)) return at;
  let at = bytes.length - 1;
  while (at > least && (bytes[at]! & 0xc0) === 0x80) at--;
  return at;
};

/** Whether a byte is ASCII and in no match of a built-in pattern, nor looked at beside one. */
const isBetween = (byte: number): boolean =>
  byte < 0x80 && !/[\w.%+@ ()-]/.test(String.fromCharCode(byte));

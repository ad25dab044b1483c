/** 2^24 bits are 2 MiB: more would not stay in the processor's cache. */
export const MAX_BITS_LOG = 24;

/** A set of hashes, some of which may seem to be in it though they are not. */
export interface Bits {
  readonly bitmap: Int32Array;
  /** A hash shifted right by this is the number of its bit. */
  readonly shift: number;
  /** Grows with every change. */
  version: number;
}

/** An empty set of 2^`log` bits. */
export const noBits = (log: number): Bits => ({
  bitmap: new Int32Array(2 ** (log - 5)),
  shift: 32 - log,
  version: 0,
});

export const include = (bits: Bits, hash: number): void => {
  bits.bitmap[hash >>> (bits.shift + 5)]! |= 1 << (hash >>> bits.shift);
  bits.version++;
};

export const has = ({ bitmap, shift }: Bits, hash: number): boolean =>
  ((bitmap[hash >>> (shift + 5)]! >>> (hash >>> shift)) & 1) === 1;

/** A set of hashes, some of which may seem to be in it though they are not. */
export interface Bits {
  readonly bitmap: Int32Array;
  /** A hash shifted right by this is the number of its bit. */
  readonly shift: number;
}

/** An empty set of 2^`log` bits. */
export const noBits = (log: number): Bits => ({
  bitmap: new Int32Array(2 ** (log - 5)),
  shift: 32 - log,
});

export const include = ({ bitmap, shift }: Bits, hash: number): void => {
  bitmap[hash >>> (shift + 5)]! |= 1 << (hash >>> shift);
};

export const has = ({ bitmap, shift }: Bits, hash: number): boolean =>
  ((bitmap[hash >>> (shift + 5)]! >>> (hash >>> shift)) & 1) === 1;

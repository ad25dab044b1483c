/** 2^24 bits are 2 MiB: more would not stay in the processor's cache. */
export const MAX_BITS_LOG = 24;

/**
 * From this size on a hash has two bits, in one word: a set that must be dense, since a larger one would be slower, then
 * lets the square of its density through.
 */
const PAIRED_FROM_LOG = 23;

/** The size of the set of how patterns begin: 2^21 bits, 256 KiB. */
export const BEGINNINGS_LOG = 21;

/** A set of hashes, some of which may seem to be in it though they are not. */
export interface Bits {
  readonly bitmap: Int32Array;
  /** A hash shifted right by this is the number of its word; its lowest five bits are the number of the bit in it. */
  readonly shift: number;
  /** Whether a hash has a second bit in its word, numbered by its next five bits. */
  readonly isPaired: boolean;
  /** Grows with every change. */
  version: number;
}

/** An empty set of 2^`log` bits. */
export const noBits = (log: number): Bits => ({
  bitmap: new Int32Array(2 ** (log - 5)),
  shift: shiftOf(log),
  isPaired: isPairedAt(shiftOf(log)),
  version: 0,
});

/** See {@link Bits.shift}. */
export const shiftOf = (log: number): number => 32 - (log - 5);

/** Whether sets with this shift have two bits for a hash. */
export const isPairedAt = (shift: number): boolean => shift <= shiftOf(PAIRED_FROM_LOG);

/** The bits of a hash in its word. */
const maskOf = (hash: number, isPaired: boolean): number =>
  // A shift by a number takes its lowest five bits.
  isPaired ? (1 << hash) | (1 << (hash >>> 5)) : 1 << hash;

export const include = (bits: Bits, hash: number): void => {
  bits.bitmap[hash >>> bits.shift]! |= maskOf(hash, bits.isPaired);
  bits.version++;
};

/** Adds a hash by two bits; for {@link hasTwice}, which lets fewer others through than `has` does. */
export const includeTwice = (bits: Bits, hash: number): void => {
  include(bits, hash);
  include(bits, secondHash(hash));
};

export const hasTwice = (bits: Bits, hash: number): boolean =>
  has(bits, hash) && has(bits, secondHash(hash));

/** Odd, with its bits spread evenly: the fractional part of the square root of 7. */
export const SECOND_HASH: number = 0xa54ff53b | 0;

const secondHash = (hash: number): number => Math.imul(hash, SECOND_HASH);

export const has = ({ bitmap, shift, isPaired }: Bits, hash: number): boolean => {
  const mask = maskOf(hash, isPaired);
  return (bitmap[hash >>> shift]! & mask) === mask;
};

import { BEGINNINGS_LOG, isPairedAt, SECOND_HASH, shiftOf } from "../bits.ts";
import { CASE_BITS, K0, K1 } from "../grams.ts";
import { type Code, op, type Procedure, procedure, type Variable } from "./assembler.ts";

const MIB = 1024 * 1024;
/** Where the bitmaps lie in the memory: those of the two grams, and the one of how patterns begin. */
export const EIGHTS_AT = 0;
export const FOURS_AT: number = 2 * MIB;
export const BEGINNINGS_AT: number = 4 * MIB;
export const BITMAPS_END: number = 5 * MIB;

const BEGINNINGS_SHIFT = shiftOf(BEGINNINGS_LOG);
const WORD_LOG = 2;
const WORD_BYTES = 4;
const { i32, add, sub, mul, and, or, shiftRight, load, store, less, loopWhile, when } = op;

type Name =
  | "at"
  | "end"
  | "text"
  | "hits"
  | "hit"
  | "second"
  | "fourth"
  | "a"
  | "b"
  | "c"
  | "d"
  | "ab"
  | "cd"
  | "word";

/** The word that has the bits of a hash. */
const wordOf = (bitmapAt: number, hash: Code, shift: number): Code => {
  // Shifted by two less, the number of a word is its address when the lowest two bits are cleared.
  const address = and(shiftRight(hash, i32(shift - WORD_LOG)), i32(-WORD_BYTES));
  return load(address, bitmapAt);
};

/** The bit of a hash, as the lowest of a word. */
const bit = (bitmapAt: number, hash: Code, shift: number): Code =>
  shiftRight(wordOf(bitmapAt, hash, shift), hash);

/** The same where a hash has two bits: 1 if both are set. */
const bothBits = (bitmapAt: number, hash: Code, shift: number, word: Variable): Code => [
  ...word.set(wordOf(bitmapAt, hash, shift)),
  ...and(shiftRight(word.get, hash), shiftRight(word.get, shiftRight(hash, i32(5)))),
];

/**
 * The same as the function `sweep` in TypeScript, on a text in this memory: writes the hits from `hits` on and gives the
 * address behind the last. Made for bitmaps of one size: a shift by a constant costs a third of one by a variable.
 */
export const sweepProcedure = (shift8: number, shift4: number): Procedure =>
  procedure<Name>(
    "sweep",
    ["at", "end", "text", "hits"],
    {
      hit: "i32",
      second: "i32",
      fourth: "i32",
      a: "i32",
      b: "i32",
      c: "i32",
      d: "i32",
      ab: "i32",
      cd: "i32",
      word: "i32",
    },
    (v) => {
      const folded = (offset: number) => or(load(v.at.get, offset), i32(CASE_BITS));
      const test = (bitmapAt: number, shift: number, hash: Variable) =>
        isPairedAt(shift)
          ? bothBits(bitmapAt, hash.get, shift, v.word)
          : bit(bitmapAt, hash.get, shift);
      const eight = (hash: Variable) => test(EIGHTS_AT, shift8, hash);
      const four = (hash: Variable) => test(FOURS_AT, shift4, hash);
      const note = (isHit: Code, offset: number) =>
        when(
          and(isHit, i32(1)),
          store(v.hit.get, sub(add(v.at.get, i32(offset)), v.text.get)),
          v.hit.set(add(v.hit.get, i32(4))),
        );
      return [
        v.hit.set(v.hits.get),
        loopWhile(
          less(v.at.get, v.end.get),
          v.second.set(folded(4)),
          v.fourth.set(folded(12)),
          v.a.set(mul(folded(0), i32(K0))),
          v.b.set(mul(v.second.get, i32(K0))),
          v.c.set(mul(folded(8), i32(K0))),
          v.d.set(mul(v.fourth.get, i32(K0))),
          v.ab.set(add(v.a.get, mul(v.second.get, i32(K1)))),
          v.cd.set(add(v.c.get, mul(v.fourth.get, i32(K1)))),
          when(
            and(
              or(
                or(or(eight(v.ab), eight(v.cd)), or(four(v.a), four(v.b))),
                or(four(v.c), four(v.d)),
              ),
              i32(1),
            ),
            note(eight(v.ab), 0),
            note(eight(v.cd), 8),
            note(four(v.a), 1),
            note(four(v.b), 5),
            note(four(v.c), 9),
            note(four(v.d), 13),
          ),
          v.at.set(add(v.at.get, i32(16))),
        ),
        v.hit.get,
      ];
    },
  );

/** The same as the function `findEight` in TypeScript, on a text in this memory; gives an address. */
export const findEightProcedure: Procedure = procedure<"at" | "end" | "hash" | "isHit">(
  "findEight",
  ["at", "end"],
  { hash: "i32", isHit: "i32" },
  (v) => {
    const word = (offset: number) => or(load(v.at.get, offset), i32(CASE_BITS));
    const isIn = (hash: Code) => bit(BEGINNINGS_AT, hash, BEGINNINGS_SHIFT);
    return [
      loopWhile(
        and(op.atMost(add(v.at.get, i32(8)), v.end.get), op.eqz(v.isHit.get)),
        v.hash.set(add(mul(word(0), i32(K0)), mul(word(4), i32(K1)))),
        when(
          and(isIn(v.hash.get), i32(1)),
          v.isHit.set(and(isIn(mul(v.hash.get, i32(SECOND_HASH))), i32(1))),
        ),
        v.at.set(add(v.at.get, i32(1))),
      ),
      sub(v.at.get, v.isHit.get),
    ];
  },
);

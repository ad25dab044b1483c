import { CASE_BITS, K0, K1 } from "../grams.ts";
import { type Code, op, type Procedure, procedure, type Variable } from "./assembler.ts";

/** Where the two bitmaps lie in the memory: 2 MiB for each. */
export const EIGHTS_AT = 0;
export const FOURS_AT: number = 2 * 1024 * 1024;

const { i32, add, sub, mul, and, or, shiftLeft, shiftRight, load, store, less, loopWhile, when } =
  op;

type Name =
  | "at"
  | "end"
  | "text"
  | "shift8"
  | "shift4"
  | "hits"
  | "hit"
  | "second"
  | "fourth"
  | "a"
  | "b"
  | "c"
  | "d"
  | "ab"
  | "cd";

/** The bit of a hash, as the lowest of a word. */
const bit = (bitmapAt: number, hash: Variable, shift: Variable): Code => {
  const row = shiftRight(shiftRight(hash.get, shift.get), i32(5));
  return shiftRight(load(shiftLeft(row, i32(2)), bitmapAt), shiftRight(hash.get, shift.get));
};

/**
 * The same as the function `sweep` in TypeScript, on a text in this memory: writes the hits from `hits` on and gives the
 * address behind the last.
 */
export const sweepProcedure: Procedure = procedure<Name>(
  "sweep",
  ["at", "end", "text", "shift8", "shift4", "hits"],
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
  },
  (v) => {
    const folded = (offset: number) => or(load(v.at.get, offset), i32(CASE_BITS));
    const eight = (hash: Variable) => bit(EIGHTS_AT, hash, v.shift8);
    const four = (hash: Variable) => bit(FOURS_AT, hash, v.shift4);
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

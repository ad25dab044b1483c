import { type Code, op, type Procedure, procedure, type Variable } from "./assembler.ts";

// Bits of what `survey` gives. The last two are hints that take a closer look.
export const HAS_ESC = 0x1;
export const HAS_HTML_SIGN = 0x2;
export const HAS_SOFT_EQUALS = 0x4;
export const MAY_HAVE_ESCAPES = 0x8;
export const MAY_HAVE_DENSE_LINE = 0x10;

/** Between these are all dense bytes, and no space, quote or control character. */
const LEAST_DENSE = "+";
const GREATEST_DENSE = "z";

const BLOCK = 16;
const { i32, add, sub, and, or, eqz, shiftLeft } = op;
const { loadVector, equalBytes, lessBytes, greaterBytes, orVector, andVector, anyTrue } = op;

const code = (char: string): number => char.charCodeAt(0);

type Signs =
  | "escSign"
  | "backslash"
  | "semicolon"
  | "ampersand"
  | "hash"
  | "equals"
  | "lf"
  | "cr"
  | "least"
  | "greatest"
  | "caseBit"
  | "u"
  | "x";
const SIGNS: Readonly<Record<Signs, string>> = {
  escSign: "\x1b",
  backslash: "\\",
  semicolon: ";",
  ampersand: "&",
  hash: "#",
  equals: "=",
  lf: "\n",
  cr: "\r",
  least: LEAST_DENSE,
  greatest: GREATEST_DENSE,
  caseBit: " ",
  u: "u",
  x: "x",
};
const SIGN_NAMES = Object.keys(SIGNS) as Signs[];

type Found = "esc" | "html" | "soft" | "escapes";
type Name =
  | Signs
  | Found
  | "at"
  | "length"
  | "end"
  | "block"
  | "next"
  | "lower"
  | "loose"
  | "looseBefore"
  | "dense";

/**
 * Looks at a text in this memory, 16 bytes at a time and without a branch. Behind the text there must be spaces, up to the
 * next multiple of 16 and 16 more.
 */
export const surveyProcedure: Procedure = procedure<Name>(
  "survey",
  ["at", "length"],
  {
    ...{ end: "i32", loose: "i32", looseBefore: "i32", dense: "i32" },
    ...{
      block: "v128",
      next: "v128",
      lower: "v128",
      esc: "v128",
      html: "v128",
      soft: "v128",
      escapes: "v128",
    },
    ...(Object.fromEntries(SIGN_NAMES.map((name) => [name, "v128"])) as Record<Signs, "v128">),
  },
  (v) => {
    const collect = (found: Variable, bytes: Code) => found.set(orVector(found.get, bytes));
    const is = (bytes: Variable, sign: Signs) => equalBytes(bytes.get, v[sign].get);
    const flag = (found: Code, bit: number) => shiftLeft(found, i32(Math.log2(bit)));
    return [
      // Once, before the loop.
      ...SIGN_NAMES.map((name) => v[name].set(op.splat(code(SIGNS[name])))),
      v.end.set(add(v.at.get, v.length.get)),
      v.looseBefore.set(i32(1)),
      op.loopWhile(
        op.less(v.at.get, v.end.get),
        v.block.set(loadVector(v.at.get)),
        v.next.set(loadVector(add(v.at.get, i32(1)))),
        collect(v.esc, is(v.block, "escSign")),
        v.lower.set(orVector(v.next.get, v.caseBit.get)),
        collect(
          v.escapes,
          andVector(is(v.block, "backslash"), orVector(is(v.lower, "u"), is(v.lower, "x"))),
        ),
        collect(
          v.soft,
          andVector(is(v.block, "equals"), orVector(is(v.next, "lf"), is(v.next, "cr"))),
        ),
        collect(
          v.html,
          andVector(
            andVector(is(v.block, "semicolon"), is(v.next, "ampersand")),
            equalBytes(loadVector(add(v.at.get, i32(2))), v.hash.get),
          ),
        ),
        // A dense run that is long enough fills two blocks.
        v.loose.set(
          anyTrue(
            orVector(
              lessBytes(v.block.get, v.least.get),
              greaterBytes(v.block.get, v.greatest.get),
            ),
          ),
        ),
        v.dense.set(or(v.dense.get, eqz(or(v.loose.get, v.looseBefore.get)))),
        v.looseBefore.set(v.loose.get),
        v.at.set(add(v.at.get, i32(BLOCK))),
      ),
      or(
        or(flag(anyTrue(v.esc.get), HAS_ESC), flag(anyTrue(v.html.get), HAS_HTML_SIGN)),
        or(
          flag(anyTrue(v.soft.get), HAS_SOFT_EQUALS),
          or(
            flag(anyTrue(v.escapes.get), MAY_HAVE_ESCAPES),
            flag(v.dense.get, MAY_HAVE_DENSE_LINE),
          ),
        ),
      ),
    ];
  },
);

/**
 * The same as the function `hasEscapes` in TypeScript, on a text in this memory: 1 or 0.
 */
export const hasEscapesProcedure: Procedure = procedure<
  "at" | "length" | "end" | "signs" | "here" | "kind" | "found"
>(
  "hasEscapes",
  ["at", "length"],
  { end: "i32", signs: "i32", here: "i32", kind: "i32", found: "i32" },
  (v) => {
    const isBackslash = (offset: number) =>
      eqz(sub(op.loadByte(add(v.here.get, i32(offset))), i32(code("\\"))));
    const isKind = (char: string) => eqz(sub(v.kind.get, i32(code(char))));
    return [
      v.end.set(add(v.at.get, v.length.get)),
      op.loopWhile(
        and(op.less(v.at.get, v.end.get), eqz(v.found.get)),
        v.signs.set(op.highBits(equalBytes(loadVector(v.at.get), op.splat(code("\\"))))),
        op.loopWhile(
          v.signs.get,
          v.here.set(add(v.at.get, op.trailingZeros(v.signs.get))),
          v.kind.set(or(op.loadByte(add(v.here.get, i32(1))), i32(0x20))),
          v.found.set(
            or(v.found.get, or(and(isKind("u"), isBackslash(6)), and(isKind("x"), isBackslash(4)))),
          ),
          v.signs.set(and(v.signs.get, sub(v.signs.get, i32(1)))),
        ),
        v.at.set(add(v.at.get, i32(BLOCK))),
      ),
      v.found.get,
    ];
  },
);

import { DENSE_RUN, ESC_MARK, ESCAPES_MARK, HTML_MARK, SOFT_BREAK_MARK } from "../survey.ts";
import { type Code, op, type Procedure, procedure } from "./assembler.ts";

type Name =
  | "text"
  | "length"
  | "before"
  | "at"
  | "end"
  | "block"
  | "signs"
  | "here"
  | "byte"
  | "run"
  | "marks";

const { i32, add, sub, and, or, eqz, less, greater, atLeast, when, loopWhile } = op;

const code = (char: string): number => char.charCodeAt(0);
const is = (byte: Code, char: string): Code => eqz(sub(byte, i32(code(char))));
const isBetween = (byte: Code, first: string, last: string): Code =>
  less(sub(byte, i32(code(first))), i32(code(last) - code(first) + 1));
const lowerCase = (byte: Code): Code => or(byte, i32(0x20));
const isDense = (byte: Code): Code =>
  [
    isBetween(lowerCase(byte), "a", "z"),
    // `/` comes right before the digits.
    isBetween(byte, "/", "9"),
    ...["+", "-", "_", "="].map((char) => is(byte, char)),
  ].reduce((all, each) => or(all, each));

/**
 * The same as the function `survey` in TypeScript, on a text in this memory, 16 bytes at a time. Behind the text, up to
 * the next multiple of 16, there must be spaces.
 */
export const surveyProcedure: Procedure = procedure<Name>(
  "survey",
  ["text", "length", "before"],
  {
    ...{ at: "i32", end: "i32", block: "v128", signs: "i32", here: "i32", byte: "i32", run: "i32" },
    marks: "i32",
  },
  (v) => {
    const next = op.loadByte(add(v.here.get, i32(1)));
    const previous = op.loadByte(sub(v.here.get, i32(1)));
    const isFollowed = (kind: string, length: number) =>
      and(is(lowerCase(next), kind), is(op.loadByte(add(v.here.get, i32(length))), "\\"));
    const isSign = (char: string) => op.equalBytes(v.block.get, op.splat(code(char)));
    const mark = (bits: number) => v.marks.set(or(v.marks.get, i32(bits)));
    const judgeBreak = [
      when(and(greater(v.here.get, v.text.get), is(previous, "=")), mark(SOFT_BREAK_MARK)),
      v.run.set(i32(0)),
      loopWhile(
        and(
          and(greater(v.here.get, v.text.get), less(v.run.get, i32(DENSE_RUN))),
          isDense(previous),
        ),
        v.run.set(add(v.run.get, i32(1))),
        v.here.set(sub(v.here.get, i32(1))),
      ),
      when(eqz(sub(v.here.get, v.text.get)), v.run.set(add(v.run.get, v.before.get))),
      when(atLeast(v.run.get, i32(DENSE_RUN)), mark(SOFT_BREAK_MARK)),
    ];
    return [
      v.at.set(v.text.get),
      v.end.set(add(v.text.get, v.length.get)),
      loopWhile(
        less(v.at.get, v.end.get),
        v.block.set(op.loadVector(v.at.get)),
        v.signs.set(
          op.highBits(
            ["\\", "&", "\x1b", "\n", "\r"]
              .map(isSign)
              .reduce((all, each) => op.orVector(all, each)),
          ),
        ),
        loopWhile(
          v.signs.get,
          v.here.set(add(v.at.get, op.trailingZeros(v.signs.get))),
          v.byte.set(op.loadByte(v.here.get)),
          when(is(v.byte.get, "\x1b"), mark(ESC_MARK)),
          when(and(and(is(v.byte.get, "&"), is(next, "#")), is(previous, ";")), mark(HTML_MARK)),
          when(
            and(is(v.byte.get, "\\"), or(isFollowed("u", 6), isFollowed("x", 4))),
            mark(ESCAPES_MARK),
          ),
          when(or(is(v.byte.get, "\n"), is(v.byte.get, "\r")), ...judgeBreak),
          v.signs.set(and(v.signs.get, sub(v.signs.get, i32(1)))),
        ),
        v.at.set(add(v.at.get, i32(16))),
      ),
      v.marks.get,
    ];
  },
);

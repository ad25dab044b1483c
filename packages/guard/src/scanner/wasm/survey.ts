import { DENSE_RUN, MARKS, SOFT_BREAK_MARK } from "../survey.ts";
import { type Code, op, type Procedure, procedure } from "./assembler.ts";

const LF = 0x0a;
const CR = 0x0d;
const EQUALS = 0x3d;

type Name =
  | "text"
  | "length"
  | "before"
  | "at"
  | "end"
  | "block"
  | "mark0"
  | "mark1"
  | "mark2"
  | "mark3"
  | "mark4"
  | "breaks"
  | "line"
  | "run"
  | "soft";

const MARK_NAMES = ["mark0", "mark1", "mark2", "mark3", "mark4"] as const;

/**
 * The same as the function `survey` in TypeScript, on a text in this memory, 16 bytes at a time. Behind the text, up to
 * the next multiple of 16, there must be spaces.
 */
export const surveyProcedure: Procedure = procedure<Name>(
  "survey",
  ["text", "length", "before"],
  {
    ...{
      at: "i32",
      end: "i32",
      block: "v128",
      breaks: "i32",
      line: "i32",
      run: "i32",
      soft: "i32",
    },
    ...{ mark0: "v128", mark1: "v128", mark2: "v128", mark3: "v128", mark4: "v128" },
  },
  (v) => {
    const isDense = (byte: Code) => op.less(op.sub(byte, op.i32(0x21)), op.i32(0x7f - 0x21));
    const previous = op.loadByte(op.sub(v.line.get, op.i32(1)));
    const isBreak = (byte: number) => op.equalBytes(v.block.get, op.splat(byte));
    // Walks back over the line that ends at `line`.
    const judgeLine: Code[] = [
      v.run.set(op.i32(0)),
      op.when(
        op.greater(v.line.get, v.text.get),
        op.when(op.eqz(op.sub(previous, op.i32(EQUALS))), v.soft.set(op.i32(1))),
      ),
      op.loopWhile(
        op.and(
          op.and(op.greater(v.line.get, v.text.get), op.less(v.run.get, op.i32(DENSE_RUN))),
          isDense(previous),
        ),
        v.run.set(op.add(v.run.get, op.i32(1))),
        v.line.set(op.sub(v.line.get, op.i32(1))),
      ),
      op.when(op.eqz(op.sub(v.line.get, v.text.get)), v.run.set(op.add(v.run.get, v.before.get))),
      op.when(op.atLeast(v.run.get, op.i32(DENSE_RUN)), v.soft.set(op.i32(1))),
    ];
    return [
      v.at.set(v.text.get),
      v.end.set(op.add(v.text.get, v.length.get)),
      op.loopWhile(
        op.less(v.at.get, v.end.get),
        v.block.set(op.loadVector(v.at.get)),
        ...MARK_NAMES.map((mark, i) => v[mark].set(op.orVector(v[mark].get, isBreak(MARKS[i]!)))),
        v.breaks.set(op.highBits(op.orVector(isBreak(LF), isBreak(CR)))),
        op.loopWhile(
          v.breaks.get,
          v.line.set(op.add(v.at.get, op.trailingZeros(v.breaks.get))),
          ...judgeLine,
          v.breaks.set(op.and(v.breaks.get, op.sub(v.breaks.get, op.i32(1)))),
        ),
        v.at.set(op.add(v.at.get, op.i32(16))),
      ),
      MARK_NAMES.map((mark, i) => op.shiftLeft(op.anyTrue(v[mark].get), op.i32(i))).reduce(
        (all, mark) => op.or(all, mark),
        op.shiftLeft(v.soft.get, op.i32(SOFT_BREAK_MARK)),
      ),
    ];
  },
);

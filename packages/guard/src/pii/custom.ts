import { createContext, Script } from "node:vm";
import { CryptoError } from "@lango/crypto-core";

/** Finds the places of one pattern. */
export type Search = (text: string) => readonly { readonly start: number; readonly end: number }[];

/**
 * Compiles a pattern that somebody wrote. It runs under a clock: a pattern that backtracks without end is stopped, and the
 * text is not given out.
 *
 * @throws {@link CryptoError} `ERR_CONFIG` for what is no regular expression, and for one that matches the empty text.
 */
export const compileCustom = (name: string, source: string, timeoutMs: number): Search => {
  let regex: RegExp;
  try {
    regex = new RegExp(source, "gu");
  } catch (cause) {
    throw new CryptoError("ERR_CONFIG", `The pattern ${name} is no regular expression`, { cause });
  }
  const context = createContext({ regex, text: "" });
  const script = new Script(
    "Array.from(text.matchAll(regex), (m) => [m.index, m[0].length]).flat()",
  );
  const run = (text: string): number[] => {
    context["text"] = text;
    try {
      return [...(script.runInContext(context, { timeout: timeoutMs }) as number[])];
    } catch (cause) {
      throw tooSlow(name, timeoutMs, cause);
    } finally {
      context["text"] = "";
    }
  };
  if (regex.test("")) {
    throw new CryptoError("ERR_CONFIG", `The pattern ${name} matches the empty text`);
  }
  return (text) => {
    const places: { start: number; end: number }[] = [];
    const found = run(text);
    for (let i = 0; i < found.length; i += 2) {
      const [start, length] = [found[i]!, found[i + 1]!];
      // `(?=x)` and the like match a place, where nothing stands that could be replaced.
      if (length > 0) places.push({ start, end: start + length });
    }
    return places;
  };
};

const tooSlow = (name: string, timeoutMs: number, cause: unknown): CryptoError =>
  new CryptoError("ERR_CONFIG", `The pattern ${name} took more than ${timeoutMs} ms`, {
    context: { hint: "Take out repetitions within repetitions, such as (a+)+" },
    cause,
  });

import { ZxcvbnFactory } from "@zxcvbn-ts/core";
import { adjacencyGraphs, dictionary } from "@zxcvbn-ts/language-common";

/** Below this many guesses a stolen slot file falls to one graphics card within days, even with Argon2id. */
const WEAK_BELOW_SCORE = 3;

/**
 * Tells whether a passphrase is easy to guess.
 *
 * @returns Why, in one sentence, or `undefined` when it is not.
 */
export function weakness(passphrase: Uint8Array): string | undefined {
  const checker = new ZxcvbnFactory({ graphs: adjacencyGraphs, dictionary });
  // The checker works on strings, which cannot be zeroed; longer input would only cost time.
  const { score, feedback } = checker.check(new TextDecoder().decode(passphrase.subarray(0, 128)));
  if (score >= WEAK_BELOW_SCORE) {
    return undefined;
  }
  const why = REASONS[feedback.warning ?? ""];
  return `This passphrase is easy to guess${why === undefined ? "" : `: ${why}`}; several random words are better`;
}

/** What the checker's names of its findings mean. */
const REASONS: Readonly<Record<string, string>> = {
  straightRow: "it is a row of keys",
  keyPattern: "it is a pattern on the keyboard",
  simpleRepeat: "it repeats one character",
  extendedRepeat: "it repeats a few characters",
  sequences: "it is a sequence such as abc or 123",
  recentYears: "it is made of a year",
  dates: "it is made of a date",
  topTen: "it is one of the most used passwords",
  topHundred: "it is one of the most used passwords",
  common: "it is a much used password",
  similarToCommon: "it is like a much used password",
  wordByItself: "it is one word",
  namesByThemselves: "it is a name",
  commonNames: "it is a name",
};

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
  return `This passphrase is easy to guess${feedback.warning ? ` (${feedback.warning})` : ""}; several random words are better`;
}

import { type Bytes, CryptoError, isCryptoError } from "@lango/crypto-core";
import { parseRecoveryWords } from "./recovery-words.ts";
import { found, type Source, skipped } from "./source.ts";
import type { Surroundings } from "./surroundings.ts";

const MAX_ATTEMPTS = 3;
const QUESTION = "The 24 recovery words, on one line:\n";

/** The words on paper, typed at the terminal. Nobody is asked for them who did not say that they are at hand. */
export function recoveryWords({ unlockWith, promptWords }: Surroundings): Source {
  const look = (): string | undefined => {
    if (unlockWith !== "recovery") return "asked for only with --unlock-with recovery";
    return promptWords === undefined ? "there is no terminal to ask on" : undefined;
  };
  return {
    name: "recovery words",
    kinds: ["recovery"],
    ambient: false,
    async take() {
      const away = look();
      if (away !== undefined || promptWords === undefined) return skipped(away ?? "");
      const entropy = await ask(promptWords);
      return entropy === undefined ? skipped("nothing was entered") : found(entropy);
    },
    look: async () => look(),
  };
}

async function ask(prompt: NonNullable<Surroundings["promptWords"]>): Promise<Bytes | undefined> {
  let complaint = "";
  for (let attempt = 1; ; attempt += 1) {
    const text = await prompt(complaint + QUESTION);
    if (text === undefined) return undefined;
    try {
      return await wordsFrom(text, "recovery words");
    } catch (error) {
      if (!isCryptoError(error) || attempt === MAX_ATTEMPTS) throw error;
      complaint = `${error.message}\n\n`;
    }
  }
}

/**
 * Reads words that should open the vault, and zeroes their text.
 *
 * @throws CryptoError `ERR_WRONG_PASSPHRASE` for what are no 24 words: they open nothing, like a wrong passphrase.
 */
export async function wordsFrom(text: Bytes, source: string): Promise<Bytes> {
  try {
    return await parseRecoveryWords(text);
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    throw new CryptoError("ERR_WRONG_PASSPHRASE", `${error.message} (from ${source})`, {
      context: { hint: CHECKSUM_TRAP },
      cause: error,
    });
  } finally {
    text.fill(0);
  }
}

const CHECKSUM_TRAP =
  "The last word carries a checksum of the others: a word that is another, or in another place, shows there. Words that pass it may still be those of another vault";

import { type Bytes, bytesEqual, CryptoError, isCryptoError } from "@lango/crypto-core";
import type { NewPassphraseOptions, UnlockOptions } from "./types.ts";

const MAX_ATTEMPTS = 3;

/**
 * Makes a prompt that asks for a new passphrase twice. One that `check` refuses is refused before the second question; it
 * is asked again, with the reason before the question, three times at most.
 *
 * @throws CryptoError `ERR_INVALID_ARGUMENT`, from the prompt, when the last attempt failed too.
 */
export function askTwice(
  prompt: UnlockOptions["prompt"],
  { replacing = false, check = () => {} }: NewPassphraseOptions,
): UnlockOptions["prompt"] {
  if (prompt === undefined) return undefined;
  const [enter, confirm] = replacing
    ? ["Enter new encryption passphrase (min 8 characters): ", "Confirm new passphrase: "]
    : ["Enter encryption passphrase (min 8 characters): ", "Confirm passphrase: "];
  return async () => {
    let complaint = "";
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await askOnce(prompt, check, complaint + enter, confirm);
      } catch (error) {
        const mayRetry = isCryptoError(error) && error.code === "ERR_INVALID_ARGUMENT";
        if (!mayRetry || attempt === MAX_ATTEMPTS) throw error;
        complaint = `${error.message}\n`;
      }
    }
  };
}

async function askOnce(
  prompt: NonNullable<UnlockOptions["prompt"]>,
  check: NonNullable<NewPassphraseOptions["check"]>,
  enter: string,
  confirm: string,
): Promise<Bytes | undefined> {
  const first = await prompt(enter);
  if (first === undefined) return undefined;
  try {
    check(first);
    const second = await prompt(confirm);
    if (second === undefined) return undefined;
    const same = bytesEqual(first, second);
    second.fill(0);
    if (same) return first.slice();
    throw new CryptoError("ERR_INVALID_ARGUMENT", "The two passphrases differ", {
      context: { hint: "Nothing was changed; run the command again" },
    });
  } finally {
    first.fill(0);
  }
}

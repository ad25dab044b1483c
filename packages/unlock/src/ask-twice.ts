import { bytesEqual, CryptoError } from "@lango/crypto-core";
import type { UnlockOptions } from "./types.ts";

/**
 * Makes a prompt that asks for a new passphrase twice.
 *
 * @throws CryptoError `ERR_INVALID_ARGUMENT`, from the prompt, when the two entries differ.
 */
export function askTwice(
  prompt: UnlockOptions["prompt"],
  replacing: boolean,
): UnlockOptions["prompt"] {
  if (prompt === undefined) return undefined;
  const [enter, confirm] = replacing
    ? ["Enter new encryption passphrase (min 8 characters): ", "Confirm new passphrase: "]
    : ["Enter encryption passphrase (min 8 characters): ", "Confirm passphrase: "];
  return async () => {
    const first = await prompt(enter);
    if (first === undefined) return undefined;
    try {
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
  };
}

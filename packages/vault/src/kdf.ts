import { CryptoError } from "@lango/crypto-core";
import { isBelowFloor, type Kdf } from "@lango/envelope";

/** @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for costs below the floor that nobody insists on. */
export const checkKdf = (kdf: Kdf | undefined, accepted: boolean): void => {
  if (kdf === undefined || accepted || !isBelowFloor(kdf)) return;
  throw new CryptoError(
    "ERR_INVALID_ARGUMENT",
    "The key derivation is below the floor: Argon2id with 19 MiB and 2 passes, PBKDF2 with 600,000 iterations",
    { context: { hint: "Leave it out, or insist with acceptWeakKdf (--accept-weak-kdf)" } },
  );
};

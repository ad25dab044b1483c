import { CryptoError } from "@lango/crypto-core";

const HOW =
  "Set LANGO_PASSPHRASE, use --passphrase-fd N or --passphrase-file FILE, or run it on a terminal";

/** The error of a vault whose passphrase no source gave. @param withList - Whether it names every source. */
export const locked = (cause: CryptoError, withList: boolean): CryptoError =>
  reworded(
    cause,
    "The vault is locked and nothing gave its passphrase",
    `${HOW}; "lango whoami" shows where it looked${withList ? `. ${cause.context.hint}` : ""}`,
  );

/** The error of a new vault for which no source gave a passphrase. */
export const noNewPassphrase = (cause: CryptoError, withList: boolean): CryptoError =>
  reworded(
    cause,
    "Nothing gave a passphrase for the new vault",
    `${HOW}${withList ? `. ${cause.context.hint}` : ""}`,
  );

const reworded = (cause: CryptoError, message: string, hint: string): CryptoError =>
  new CryptoError("ERR_LOCKED", message, { context: { hint }, cause });

import { CryptoError } from "../errors.ts";

/** The longest time that a timer of Node can run; a longer one would end at once. */
export const MAX_TIMER_MS: number = 2 ** 31 - 1;

/**
 * An option that is a number, such as one that was read from the environment: NaN would be taken for a limit that is never
 * reached.
 *
 * @throws {@link CryptoError} `ERR_CONFIG` for what is no number, or less than `least`.
 */
export const atLeast = (least: number, name: string, value: number): number => {
  if (typeof value === "number" && value >= least) return value;
  throw new CryptoError("ERR_CONFIG", `${name} is ${value}; it must be a number from ${least} on`);
};

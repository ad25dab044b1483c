import { isBelowFloor, type Kdf, parseKdfOption } from "@lango/envelope";
import { DEFAULTS } from "../config/defaults.ts";
import { loadConfig } from "../config/load.ts";
import { type Arguments, usageError } from "./arguments.ts";

/** The iterations of the old vaults that `--profile seed-000` stands for. */
const SEED_000 = "pbkdf2-sha256:100000";

/** What the command line says. */
export interface ChosenKdf {
  readonly kdf: Kdf | undefined;
  /** Whether one below today's floor is wanted. */
  readonly acceptWeakKdf: boolean;
}

/**
 * Reads `--kdf`, `--profile` and `--accept-weak-kdf`.
 *
 * @returns No `kdf` when nothing is said.
 * @throws CryptoError `ERR_INVALID_ARGUMENT` for costs below today's floor that nobody insists on.
 */
export function chooseKdf(args: Arguments): ChosenKdf {
  const option = args.string("kdf");
  if (args.string("profile") !== undefined) {
    if (option !== undefined) {
      throw usageError("Give --kdf or --profile, not both");
    }
    return { kdf: parseKdfOption(SEED_000), acceptWeakKdf: true };
  }
  const acceptWeakKdf = args.flag("accept-weak-kdf");
  if (option === undefined) {
    return { kdf: undefined, acceptWeakKdf };
  }
  const kdf = parseKdfOption(option);
  if (isBelowFloor(kdf) && !acceptWeakKdf) {
    throw usageError(
      `${option} is weaker than what is safe today (600,000 iterations)`,
      "Leave --kdf out, or insist with --accept-weak-kdf",
    );
  }
  return { kdf, acceptWeakKdf };
}

/** What `security.kdf` says. The default leaves it to the vault, which never falls below the costs of an old slot. */
export const configuredKdf = async (home: string): Promise<Kdf | undefined> => {
  const option = (await loadConfig(home)).security.kdf;
  return option === DEFAULTS.security.kdf ? undefined : parseKdfOption(option);
};

import { isBelowFloor, type Kdf, parseKdfOption } from "@lango/envelope";
import { loadConfig } from "../config/load.ts";
import { type Arguments, usageError } from "./arguments.ts";

/** The iterations of the old vaults that `--profile seed-000` stands for. */
const SEED_000 = "pbkdf2-sha256:100000";

/**
 * Reads `--kdf`, `--profile` and `--accept-weak-kdf`.
 *
 * @returns `undefined` when nothing is said.
 * @throws CryptoError `ERR_INVALID_ARGUMENT` for costs below today's floor that nobody insists on.
 */
export function chooseKdf(args: Arguments): Kdf | undefined {
  const option = args.string("kdf");
  if (args.string("profile") !== undefined) {
    if (option !== undefined) {
      throw usageError("Give --kdf or --profile, not both");
    }
    return parseKdfOption(SEED_000);
  }
  if (option === undefined) {
    return undefined;
  }
  const kdf = parseKdfOption(option);
  if (isBelowFloor(kdf) && !args.flag("accept-weak-kdf")) {
    throw usageError(
      `${option} is weaker than what is safe today (600,000 iterations)`,
      "Leave --kdf out, or insist with --accept-weak-kdf",
    );
  }
  return kdf;
}

/** What `security.kdf` says. */
export const configuredKdf = async (home: string): Promise<Kdf> =>
  parseKdfOption((await loadConfig(home)).security.kdf);

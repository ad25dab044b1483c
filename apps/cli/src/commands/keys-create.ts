import type { KeyAlgorithm } from "@lango/crypto-core";
import type { KeyType } from "@lango/vault";
import { usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import { withVault } from "../cli/vault.ts";

/** Creates a local key. */
export const run: Handler = (context, args) => {
  const name = args.positional("NAME");
  const type = args.string("type") as KeyType | undefined;
  if (type === undefined) {
    throw usageError("--type is missing", "Use --type encryption or --type signing");
  }
  const algorithm = args.string("algorithm") as KeyAlgorithm | undefined;
  return withVault(context, args, {}, async (vault) => {
    if (args.flag("dry-run")) {
      return {
        data: { dryRun: true, name, type, algorithm: algorithm ?? null },
        text: `would create the ${type} key local:${name}`,
      };
    }
    const key = await vault.keys.create({ name, type, algorithm });
    return { data: key, text: `created ${key.uri} (${key.algorithm})` };
  });
};

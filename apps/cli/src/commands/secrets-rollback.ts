import { CryptoError } from "@lango/crypto-core";
import type { Handler } from "../cli/command.ts";
import { withVault } from "../cli/vault.ts";
import { warnIfDegraded } from "../cli/warn-if-degraded.ts";

/** Makes an earlier version current again, as a new version. */
export const run: Handler = (context, args) =>
  withVault(context, args, {}, async (vault) => {
    const name = args.positional("NAME");
    const wanted = args.number("version");
    const kept = await vault.secrets.history(name);
    const target = kept.find(({ version, current }) =>
      wanted === undefined ? !current : version === wanted,
    );
    if (target === undefined) {
      throw new CryptoError(
        "ERR_NOT_FOUND",
        wanted === undefined
          ? `${name} has no version before the current one`
          : `${name} has no version ${wanted}`,
        { context: { hint: `Run "lango security secrets history ${name}"` } },
      );
    }
    if (args.flag("dry-run")) {
      return {
        data: { name, dryRun: true, from: target.version },
        text: `would make version ${target.version} of ${name} current again`,
      };
    }
    const result = await vault.secrets.rollback(name, target.version);
    warnIfDegraded(context, result);
    const { version } = result;
    return {
      data: { name, version, from: target.version },
      text: `${name} has the value of version ${target.version} again, as version ${version}`,
    };
  });

import type { Handler } from "../cli/command.ts";
import { table, when } from "../cli/output.ts";
import { withVault } from "../cli/vault.ts";

/** Lists the kept versions, newest first. */
export const run: Handler = (context, args) =>
  withVault(context, args, {}, async (vault) => {
    const name = args.positional("NAME");
    const versions = await vault.secrets.history(name);
    return {
      data: { name, versions },
      text: table(
        ["VERSION", "CREATED", "BYTES", ""],
        versions.map(({ version, createdAt, size, current }) => [
          `${version}`,
          when(createdAt),
          `${size}`,
          current ? "current" : "",
        ]),
      ),
    };
  });

import type { Handler } from "../cli/command.ts";
import { table, when } from "../cli/output.ts";
import { withRows } from "../cli/reader.ts";

/** Lists the keys of the registry. */
export const run: Handler = (context, args) =>
  withRows(context, args, async (vault) => {
    const keys = await vault.keys.list();
    return {
      data: { keys },
      text: table(
        ["KEY", "NAME", "TYPE", "ALGORITHM", "VERSION", "STATE", "CREATED", "LAST USED"],
        keys.map(({ uri, name, type, algorithm, keyVersion, state, createdAt, lastUsedAt }) => [
          uri,
          name,
          type,
          algorithm,
          keyVersion,
          state,
          when(createdAt),
          when(lastUsedAt),
        ]),
      ),
    };
  });

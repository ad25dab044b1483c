import type { Handler } from "../cli/command.ts";
import { table, when } from "../cli/output.ts";
import { withReader } from "../cli/reader.ts";

/** Lists names and dates. */
export const run: Handler = (context) =>
  withReader(context, async (vault) => {
    const secrets = await vault.secrets.list();
    if (secrets.length === 0) {
      context.note('no secrets yet: store one with "lango security secrets set NAME"');
    }
    return {
      data: { secrets },
      text: table(
        ["NAME", "KEY", "VERSION", "CREATED", "UPDATED", "USES"],
        secrets.map(({ name, key, version, createdAt, updatedAt, uses }) => [
          name,
          key,
          `${version}`,
          when(createdAt),
          when(updatedAt),
          `${uses}`,
        ]),
      ),
    };
  });

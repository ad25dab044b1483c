import type { Handler } from "../cli/command.ts";
import { table, when } from "../cli/output.ts";
import { withReader } from "../cli/reader.ts";

/** Lists what can open the vault. */
export const run: Handler = (context) =>
  withReader(context, async (vault) => {
    const slots = await vault.slots.list();
    return {
      data: { slots },
      text: table(
        ["ID", "KIND", "KDF", "LABEL", "CREATED"],
        slots.map(({ id, kind, kdf, uri, label, createdAt }) => [
          id,
          kind,
          kdf ?? uri ?? "-",
          label ?? "-",
          when(Date.parse(createdAt)),
        ]),
      ),
    };
  });

import { CryptoError } from "@lango/crypto-core";
import type { Handler } from "../cli/command.ts";
import { facts, when } from "../cli/output.ts";
import { withRows } from "../cli/reader.ts";

/** Shows one key of the registry. */
export const run: Handler = (context, args) =>
  withRows(context, args, async (vault) => {
    const wanted = args.positional("KEY");
    const key = (await vault.keys.list()).find(({ name, uri }) => [name, uri].includes(wanted));
    if (key === undefined) {
      throw new CryptoError("ERR_KEY_NOT_FOUND", `There is no key ${wanted}`, {
        context: { hint: 'Run "lango keys list"' },
      });
    }
    return {
      data: key,
      text: facts([
        ["uri", key.uri],
        ["name", key.name],
        ["id", key.id],
        ["type", key.type],
        ["algorithm", key.algorithm],
        ["provider", key.provider],
        ["version", key.keyVersion],
        ["state", key.state],
        ["created", when(key.createdAt)],
        ["last used", when(key.lastUsedAt)],
      ]),
    };
  });

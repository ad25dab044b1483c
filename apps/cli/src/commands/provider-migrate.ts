import { parseKeyUri } from "@lango/crypto-core";
import { usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import { checkKey } from "../cli/crypto.ts";
import { interruptible } from "../cli/interrupt.ts";
import { findRemoteKey, providerFor } from "../cli/remote-key.ts";
import { requireYes } from "../cli/terminal.ts";
import { withVault } from "../cli/vault.ts";

/** Puts a key of the registry under a key of another provider. */
export const run: Handler = (context, args) => {
  const given = args.string("to");
  if (given === undefined) {
    throw usageError("--to is missing", "Name the key, as in --to aws-kms:alias/lango");
  }
  const to = checkKey(given.includes(":") ? given : `local:${given}`);
  return withVault(context, args, {}, async (vault, providers) => {
    const key = await vault.keys.describe(args.string("key") ?? "default");
    if (args.flag("dry-run")) {
      return {
        data: { dryRun: true, key: key.name, from: key.uri, to },
        text: `would put the data keys of ${key.name}, which is ${key.uri}, under ${to}`,
      };
    }
    const { scheme } = parseKeyUri(to);
    const target =
      scheme === "local"
        ? to
        : (await findRemoteKey(providerFor(providers, scheme), to, "encryption")).uri;
    await requireYes(
      context,
      `Put the data keys of ${key.name}, which is ${key.uri}, under ${target}?`,
    );
    const {
      key: now,
      from,
      dataKeys,
      notRevoked,
    } = await interruptible((signal) =>
      vault.providers.migrate({ to: target, key: key.name, signal }),
    );
    for (const sentence of notRevoked) context.warn(sentence);
    return {
      data: { key: now, from, dataKeys, notRevoked },
      text: `${now.name} is now ${now.uri}; ${dataKeys} data ${dataKeys === 1 ? "key was" : "keys were"} wrapped by it, no value was touched`,
    };
  });
};

import { CryptoError, type KeyAlgorithm, parseKeyUri } from "@lango/crypto-core";
import type { KeyType } from "@lango/vault";
import { usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import { createRemoteKey } from "../cli/create-remote-key.ts";
import { findRemoteKey, providerFor } from "../cli/remote-key.ts";
import { withVault } from "../cli/vault.ts";

/** Creates a local key, or registers one that a provider has. */
export const run: Handler = (context, args) => {
  const name = args.positional("NAME");
  const type = args.string("type") as KeyType | undefined;
  if (type === undefined) {
    throw usageError("--type is missing", "Use --type encryption or --type signing");
  }
  const algorithm = args.string("algorithm") as KeyAlgorithm | undefined;
  const uri = args.string("provider");
  const create = args.flag("create");
  if (uri === undefined && create) throw usageError("--create goes with --provider");
  if (uri !== undefined) {
    parseKeyUri(uri);
    if (algorithm !== undefined && !create) {
      throw usageError(
        "--algorithm is for a key that is made now; this one has its own",
        "Leave it out, or make a key with --create",
      );
    }
  }
  return withVault(context, args, {}, async (vault, providers) => {
    if (args.flag("dry-run")) {
      const what =
        uri === undefined ? `create the ${type} key local:${name}` : `register ${uri} as ${name}`;
      return {
        data: { dryRun: true, name, type, algorithm: algorithm ?? null, uri: uri ?? null },
        text: `would ${what}`,
      };
    }
    // Before a key is made that nothing then refers to.
    if (create && (await vault.keys.list()).some((key) => key.name === name)) {
      throw new CryptoError("ERR_CONFLICT", `There is a key ${name} already`);
    }
    const keyring = { vault, providers };
    const remote =
      uri === undefined
        ? undefined
        : create
          ? await createRemoteKey(keyring, uri, type, algorithm)
          : (await findRemoteKey(providerFor(providers, parseKeyUri(uri).scheme), uri, type)).uri;
    const key = await vault.keys.create({
      ...{ name, type },
      ...(remote === undefined ? { algorithm } : { uri: remote }),
    });
    const did = uri === undefined ? `created ${key.uri}` : `registered ${key.uri} as ${name}`;
    return { data: key, text: `${did} (${key.algorithm})` };
  });
};

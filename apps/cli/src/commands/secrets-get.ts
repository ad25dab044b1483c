import { toBase64, zero } from "@lango/crypto-core";
import { usageError } from "../cli/arguments.ts";
import { isTerminal } from "../cli/color.ts";
import type { Handler, Result } from "../cli/command.ts";
import { writeAll } from "../cli/output.ts";
import { checkName, findSecret, withRows } from "../cli/reader.ts";
import { withVault } from "../cli/vault.ts";

/** Prints `{{secret:name}}`, or the value with `--reveal`. */
export const run: Handler = async (context, args) => {
  const name = args.positional("NAME");
  const version = args.number("version");
  if (!args.flag("reveal")) {
    if (version !== undefined) {
      throw usageError(
        "--version goes with --reveal: a reference always means the current version",
      );
    }
    return withRows(context, args, async (vault) => {
      await findSecret(vault, name);
      const reference = `{{secret:${name}}}`;
      return { data: { name, reference }, text: reference };
    });
  }
  await checkName(context, name);
  return withVault(context, args, { freshConsent: true }, async (vault): Promise<Result> => {
    const secret = await vault.secrets.get(name, { version });
    try {
      if (context.json) {
        return { data: { name, version: secret.version, ...encode(secret.value) } };
      }
      writeAll(1, secret.value);
      if (isTerminal(1)) {
        writeAll(1, "\n");
      }
      return {};
    } finally {
      zero(secret.value);
    }
  });
};

/** JSON has no bytes: text as it is, anything else as base64 under another name. */
function encode(value: Uint8Array): { value: string } | { valueBase64: string } {
  try {
    return { value: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value) };
  } catch {
    return { valueBase64: toBase64(value) };
  }
}

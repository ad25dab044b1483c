import { CryptoError, isCryptoError } from "@lango/crypto-core";
import { judgePlainForm } from "@lango/guard";
import type { SecretUsePolicy } from "@lango/vault";
import { withApprover } from "../cli/approver.ts";
import { type Arguments, usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import { findSecret, withRows } from "../cli/reader.ts";

/** Says where a secret may go without asking. */
export const run: Handler = async (context, args) => {
  const name = args.positional("NAME");
  // Also what an approver need not be asked about: a name that is not there, an entry that is none.
  const { destinations, commands, requiresHandle } = await withRows(context, args, (vault) =>
    findSecret(vault, name),
  );
  const next = changed(args, { destinations, commands, requiresHandle });
  checkEntries(next);
  const text = `${name} may go ${describe(next)}`;
  if (args.flag("dry-run"))
    return { data: { name, ...next, dryRun: true }, text: `would: ${text}` };
  return withApprover(context, args, [text], async (vault, approver) => {
    // What was shown came from rows that nobody had checked.
    const now = await vault.approvals.destinations.get(name);
    if (JSON.stringify(now && changed(args, now)) !== JSON.stringify(next)) {
      throw new CryptoError("ERR_CONFLICT", `Where ${name} may go was changed meanwhile`, {
        context: { hint: "Run the command again" },
      });
    }
    await vault.approvals.destinations.set(name, next, { approver });
    return { data: { name, ...next }, text };
  });
};

const checkEntries = (policy: SecretUsePolicy): void => {
  try {
    judgePlainForm(policy, { kind: "command", path: "/" });
  } catch (error) {
    throw isCryptoError(error) ? usageError(error.message, error.context.hint) : error;
  }
};

const changed = (args: Arguments, before: SecretUsePolicy): SecretUsePolicy => {
  const [to, command, handles] = [
    args.strings("to"),
    args.strings("command"),
    args.string("handles"),
  ];
  const isCleared = args.flag("clear");
  if (to.length + command.length === 0 && !isCleared && handles === undefined) {
    throw usageError("There is nothing to change", "Give --to, --command, --clear or --handles");
  }
  const [destinations, commands] = isCleared ? [[], []] : [before.destinations, before.commands];
  return {
    destinations: [...new Set([...destinations, ...to.map((host) => host.toLowerCase())])],
    commands: [...new Set([...commands, ...command])],
    requiresHandle: handles === undefined ? before.requiresHandle : handles === "required",
  };
};

const describe = ({ destinations, commands, requiresHandle }: SecretUsePolicy): string => {
  const places = [...destinations, ...commands];
  const where =
    places.length === 0
      ? "anywhere, and each use is asked for"
      : `without asking to ${places.join(", ")}; nowhere else`;
  return requiresHandle ? `${where}; by handles only` : where;
};

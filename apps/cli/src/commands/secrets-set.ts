import { zero } from "@lango/crypto-core";
import { type Arguments, usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { readInput } from "../cli/files.ts";
import { askSecretTwice, canAsk, isTerminalInput } from "../cli/terminal.ts";
import { withVault } from "../cli/vault.ts";
import { warnIfDegraded } from "../cli/warn-if-degraded.ts";

const MAX_SECRET_BYTES = 1024 * 1024;

/** Stores a secret as a new version. */
export const run: Handler = async (context, args) => {
  const name = args.positional("NAME");
  const source = valueSource(context, args);
  const dryRun = args.flag("dry-run");
  const ifVersion = args.number("if-version", 0);
  return withVault(context, args, { stdinFree: source !== "stdin" }, async (vault) => {
    if (dryRun) {
      const known = (await vault.secrets.list()).find((secret) => secret.name === name);
      const version = known?.version;
      return {
        data: { name, dryRun: true, currentVersion: version ?? null },
        text:
          version === undefined
            ? `would store ${name}, which is new`
            : `would store a version of ${name} after version ${version}`,
      };
    }
    const value = await readValue(args, source);
    try {
      if (value.length === 0 && !args.flag("allow-empty")) {
        // What `failing-command | lango …` gives. It must not take the place of a good value.
        throw usageError("The value is empty", "Say --allow-empty if it shall be");
      }
      const result = await vault.secrets.set(name, value, {
        key: args.string("key"),
        createOnly: args.flag("create-only"),
        ifVersion,
      });
      warnIfDegraded(context, result);
      const text = `${result.created ? "stored" : "updated"} ${result.name}, version ${result.version}`;
      return { data: result, text };
    } finally {
      zero(value);
    }
  });
};

type ValueSource = "argument" | "file" | "prompt" | "stdin";

/** Where the value comes from, decided and refused before anything is asked or unlocked. */
function valueSource(context: Context, args: Arguments): ValueSource {
  const onCommandLine = args.optional("VALUE") !== undefined;
  const fromFile = args.string("from-file") !== undefined;
  if (onCommandLine && fromFile) {
    throw usageError("Give VALUE or --from-file, not both");
  }
  if (onCommandLine) {
    const ci = context.env["CI"]?.toLowerCase() ?? "";
    if (args.flag("strict") || !["", "0", "false"].includes(ci)) {
      throw usageError(
        `A value on the command line is refused ${args.flag("strict") ? "with --strict" : "in CI"}`,
        "Pipe it in, or use --from-file",
      );
    }
    context.warn(
      "A value on the command line is seen by other processes and kept in the shell's history; leave it out and it is asked for",
    );
    return "argument";
  }
  if (fromFile) {
    return "file";
  }
  if (!isTerminalInput()) {
    if (args.flag("passphrase-stdin")) {
      throw usageError(
        "Standard input cannot hold both the passphrase and the value",
        "Use --passphrase-fd or --from-file",
      );
    }
    return "stdin";
  }
  if (!canAsk(context)) {
    throw usageError("There is no value", "Pipe it in, or use --from-file");
  }
  return "prompt";
}

async function readValue(args: Arguments, source: ValueSource): Promise<Uint8Array> {
  switch (source) {
    case "argument":
      return new TextEncoder().encode(args.optional("VALUE"));
    case "prompt":
      return askSecretTwice(`Enter value of ${args.positional("NAME")}: `, "Confirm value: ");
    default: {
      const value = await readInput(args.string("from-file"), MAX_SECRET_BYTES + 2);
      return args.flag("raw") ? value : withoutLineBreak(value);
    }
  }
}

/** Editors and `echo` end a file with a line break that is not part of the value: exactly one is taken away. */
function withoutLineBreak(value: Uint8Array): Uint8Array {
  let end = value.length;
  if (value[end - 1] === 0x0a) {
    end -= value[end - 2] === 0x0d ? 2 : 1;
  }
  return value.subarray(0, end);
}

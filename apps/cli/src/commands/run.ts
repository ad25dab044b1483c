import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { basename } from "node:path";
import { CryptoError, type CryptoErrorCode, zero } from "@lango/crypto-core";
import { UNLOCK_VARIABLES, withoutUnlockVariables } from "@lango/unlock";
import type { Vault } from "@lango/vault";
import { type Arguments, usageError } from "../cli/arguments.ts";
import { isTerminal } from "../cli/color.ts";
import type { Handler, Result } from "../cli/command.ts";
import { asInherited } from "../cli/process.ts";
import { withVault } from "../cli/vault.ts";

/** Runs a command with secrets in its environment and ends as it ends. There is no shell between. */
export const run: Handler = async (context, args) => {
  const wanted = parseAssignments(args);
  const [file = "", ...words] = args.trailing;
  // The vault is closed before the child starts: while that runs, no key is held here.
  const secrets = await withVault(context, args, { stdinFree: false }, async (vault) => {
    const values = await readSecrets(vault, wanted);
    await vault.audit.append({ action: "run.start", detail: basename(file) });
    return values;
  });
  context.note("output not masked");
  const env = { ...withoutUnlockVariables(context.env), ...secrets };
  return endOf(file, () =>
    asInherited(context.umask, () => spawn(file, words, { env, stdio: "inherit" })),
  );
};

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** `--env NAME=SECRET` as a map from the name of a variable to the name of a secret. */
function parseAssignments(args: Arguments): ReadonlyMap<string, string> {
  const wanted = new Map<string, string>();
  for (const assignment of args.strings("env")) {
    const [name = "", secret = ""] = splitOnce(assignment, "=");
    if (!VARIABLE.test(name) || secret === "") {
      // Not repeated in the message: a value may have been written where a name belongs.
      throw usageError("--env takes NAME=SECRET", "For example --env TOKEN=github/token");
    }
    if (UNLOCK_VARIABLES.includes(name.toUpperCase())) {
      throw usageError(`${name} never reaches a command: it opens the vault`);
    }
    if (wanted.has(name)) {
      throw usageError(`--env gives ${name} twice`);
    }
    wanted.set(name, secret);
  }
  return wanted;
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

async function readSecrets(
  vault: Vault,
  wanted: ReadonlyMap<string, string>,
): Promise<Record<string, string>> {
  const values: Record<string, string> = {};
  for (const [variable, name] of wanted) {
    const { value } = await vault.secrets.get(name);
    try {
      values[variable] = toVariable(name, value);
    } finally {
      zero(value);
    }
  }
  return values;
}

function toVariable(name: string, value: Uint8Array): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
    if (!text.includes("\0")) {
      return text;
    }
  } catch {}
  throw usageError(`${name} is no text, so no variable of an environment can hold it`);
}

/** Signals that other processes send; each is passed on. */
const FORWARDED = ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const;
/** Signals that a terminal sends to the child as well as to us; passed on only where there is no terminal. */
const FROM_TERMINAL = ["SIGINT", "SIGQUIT", "SIGWINCH"] as const;

function endOf(file: string, start: () => ChildProcess): Promise<Result> {
  let child: ChildProcess | undefined;
  const hasTerminal = [0, 1, 2].some(isTerminal);
  for (const signal of [...FORWARDED, ...FROM_TERMINAL]) {
    // Listening comes before the start: a signal between the two would end us and leave the child alone.
    const passOn = !hasTerminal || FORWARDED.some((name) => name === signal);
    process.on(signal, () => passOn && child?.kill(signal));
  }
  child = start();
  return new Promise((resolve, reject) => {
    child.once("exit", (code, signal) => {
      resolve({ exit: code ?? 128 + constants.signals[signal ?? "SIGTERM"] });
    });
    child.once("error", (error: NodeJS.ErrnoException) => {
      const known = START_FAILURES[error.code ?? ""];
      if (known === undefined) {
        reject(error);
        return;
      }
      const { exit, code, reason } = known;
      resolve({ exit, failure: new CryptoError(code, `Cannot run ${file}: ${reason}`) });
    });
  });
}

const NOT_EXECUTABLE = {
  exit: 126,
  code: "ERR_ACCESS_DENIED",
  reason: "it cannot be executed",
} as const;

/** With the exit status that shells report. */
const START_FAILURES: Readonly<
  Record<string, { exit: number; code: CryptoErrorCode; reason: string }>
> = {
  ENOENT: { exit: 127, code: "ERR_NOT_FOUND", reason: "there is no such command" },
  ENOTDIR: { exit: 127, code: "ERR_NOT_FOUND", reason: "there is no such command" },
  EACCES: NOT_EXECUTABLE,
  ENOEXEC: NOT_EXECUTABLE,
};

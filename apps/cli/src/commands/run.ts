import { spawn } from "node:child_process";
import { constants } from "node:os";
import { zero } from "@lango/crypto-core";
import { unmaskedReason } from "@lango/guard";
import type { Vault } from "@lango/vault";
import { isTerminal } from "../cli/color.ts";
import type { Handler, Result } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { asInherited } from "../cli/process.ts";
import { withVault } from "../cli/vault.ts";
import { inheritedEnvironment } from "../run/environment.ts";
import { cannotStart, findProgram } from "../run/find-program.ts";
import { becomeInit } from "../run/init.ts";
import { logDetail } from "../run/log-detail.ts";
import { type Masking, startMasking } from "../run/masking.ts";
import { SecretFiles } from "../run/memory-files.ts";
import { makePipes, type Pipes, spawnMasked } from "../run/piped.ts";
import { loadPty, spawnOnTerminal } from "../run/terminal-child.ts";
import { hasTerminal } from "../run/terminal-modes.ts";
import { parseWishes, type Wishes } from "../run/wishes.ts";
import { checkWords, readText, resolveWords } from "../run/words.ts";

/** Runs a command with secrets, its output masked, and ends as it ends. There is no shell between. */
export const run: Handler = async (context, args) => {
  becomeInit();
  const wishes = parseWishes(args);
  const [file = "", ...words] = args.trailing;
  checkWords(words, args.flag("allow-argv"));
  const program = findProgram(file, context.env);
  if (typeof program !== "string") return program;
  const isMasked = !args.flag("no-mask");

  const onTerminal = hasTerminal();
  // Made while the vault is opened.
  const pipes = isMasked && !onTerminal ? makePipes(context.env["PATH"]) : undefined;
  using files = new SecretFiles();
  const { result } = await withVault(context, args, { stdinFree: false }, async (vault) => {
    const variables = await readSecrets(context, vault, wishes, files);
    const command: Command = {
      file,
      program,
      words: await resolveWords(vault, words),
      env: { ...(await inheritedEnvironment(context)), ...variables },
      umask: context.umask,
    };
    const detail = logDetail(program, file, words, isMasked);
    await vault.audit.append({ action: "run.start", detail, durability: "normal" });
    if (!isMasked) {
      context.warn("the output is not masked: whoever reads it can read secrets");
      return { result: runAsIs(command) };
    }
    const masking = startMasking(context, vault);
    const result = onTerminal
      ? runOnTerminal(context, command, masking)
      : runPiped(command, masking, await pipes);
    // The vault is closed as soon as the scanner knows every secret: while the command runs, no key is held here.
    await Promise.race([result, masking.loaded]);
    await masking.stop();
    return { result };
  });
  return await result;
};

/** What is run: with which words and environment. */
interface Command {
  /** As it was typed: what the command sees as its own name. */
  readonly file: string;
  /** The program that this names, found once. */
  readonly program: string;
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly umask: number;
}

async function readSecrets(
  context: Context,
  vault: Vault,
  { variables, files: wanted }: Wishes,
  files: SecretFiles,
): Promise<Record<string, string>> {
  const values: Record<string, string> = {};
  for (const [variable, name] of variables) {
    values[variable] = await readText(vault, name);
    warnOfUnmasked(context, name, Buffer.from(values[variable]));
  }
  for (const [path, name] of wanted) {
    const { value } = await vault.secrets.get(name);
    try {
      warnOfUnmasked(context, name, value);
      files.add(path, value);
    } finally {
      zero(value);
    }
  }
  if (!files.isInMemory) {
    context.warn("there is no memory for files here: the secrets are in files on a disk meanwhile");
  }
  return values;
}

function warnOfUnmasked(context: Context, name: string, value: Uint8Array): void {
  const reason = unmaskedReason(value);
  if (reason === undefined) return;
  const why = reason === "short" ? "it is too short" : "it is a common word";
  context.warn(`${name} is not masked: ${why}`);
}

/** Signals that other processes send; each is passed on. */
const FORWARDED = ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const;
/** Signals that a terminal sends to the child as well as to us; passed on only where there is no terminal. */
const FROM_TERMINAL = ["SIGINT", "SIGQUIT", "SIGWINCH"] as const;

/** Passes signals on. Called before the start: a signal between the two would end us and leave the child alone. */
function forward(
  names: readonly NodeJS.Signals[],
): (kill: (signal: NodeJS.Signals) => void) => void {
  let kill: ((signal: NodeJS.Signals) => void) | undefined;
  const early: NodeJS.Signals[] = [];
  for (const name of names) {
    process.on(name, () => {
      if (kill === undefined) early.push(name);
      else kill(name);
    });
  }
  return (to) => {
    kill = to;
    for (const name of early) to(name);
  };
}

/** Those that reach only us. The others are still listened to, since they would end us. */
function forwardToJob(): ReturnType<typeof forward> {
  if (![0, 1, 2].some(isTerminal)) return forward([...FORWARDED, ...FROM_TERMINAL]);
  for (const name of FROM_TERMINAL) process.on(name, () => {});
  return forward(FORWARDED);
}

const runAsIs = ({ file, program, words, env, umask }: Command): Promise<Result> => {
  const passOn = forwardToJob();
  const child = asInherited(umask, () =>
    spawn(program, words, { argv0: file, env, stdio: "inherit" }),
  );
  passOn((signal) => child.kill(signal));
  return endOf(file, child);
};

async function runPiped(
  command: Command,
  masking: Masking,
  pipes: Pipes | undefined,
): Promise<Result> {
  const { file, program, words, env, umask } = command;
  const passOn = forwardToJob();
  const { child, finish } = asInherited(umask, () =>
    spawnMasked(program, words, { argv0: file, env }, masking, pipes),
  );
  passOn((signal) => child.kill(signal));
  const result = await endOf(file, child);
  await finish();
  return result;
}

async function runOnTerminal(
  context: Context,
  command: Command,
  masking: Masking,
): Promise<Result> {
  const pty = await loadPty();
  if (pty === undefined) {
    context.note("without @lydell/node-pty the command gets pipes and no terminal");
    return runPiped(command, masking, await makePipes(context.env["PATH"]));
  }
  const { program, words, env, umask } = command;
  const passOn = forward([...FORWARDED, "SIGINT", "SIGQUIT"]);
  const child = asInherited(umask, () =>
    spawnOnTerminal(
      (shell, parameters, size) => pty.spawn(shell, parameters, { ...size, env, encoding: null }),
      program,
      words,
      masking,
    ),
  );
  passOn(child.kill);
  return { exit: await child.ended };
}

type Child = ReturnType<typeof spawn>;

const endOf = (file: string, child: Child): Promise<Result> =>
  new Promise((resolve, reject) => {
    child.once("exit", (code, signal) => {
      resolve({ exit: code ?? 128 + constants.signals[signal ?? "SIGTERM"] });
    });
    child.once("error", (error) => {
      const known = cannotStart(file, error);
      if (known === undefined) reject(error);
      else resolve(known);
    });
  });

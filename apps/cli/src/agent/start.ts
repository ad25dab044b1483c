import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { CryptoError, type CryptoErrorCode, concat, utf8, zero } from "@lango/crypto-core";
import type { AgentStatus } from "@lango/unlock";
import { makeFolder } from "@lango/vault";
import { agentFile } from "../agent-file.ts";

export interface AgentWishes {
  readonly home: string;
  readonly idleMs: number;
  readonly limitMs: number;
  /** Slot id and vault key, see `agent.ts`. The caller zeroes it. */
  readonly secret: Uint8Array;
}

/** What the agent answers on its standard output, in one line. */
export type AgentAnswer =
  | { readonly status: AgentStatus }
  | { readonly error: { code: CryptoErrorCode; message: string; hint?: string | undefined } };

const START_MS = 15_000;
const MAX_ANSWER_BYTES = 8192;

/**
 * Starts the agent in a session of its own, away from the terminal, and waits until it listens. The key goes through a pipe:
 * command lines and environments can be read by others.
 *
 * @throws CryptoError What kept it from starting.
 */
export async function startAgentProcess(wishes: AgentWishes): Promise<AgentStatus> {
  const { home, idleMs, limitMs, secret } = wishes;
  makeFolder(join(home, "run"));
  // The limit on core files holds for the agent however this lango was started.
  const program = [process.execPath, ...nodeOptions(), agentFile()];
  const child = spawn("/bin/sh", ["-c", 'ulimit -c 0; exec "$@"', "sh", ...program], {
    cwd: "/",
    env: {},
    detached: true,
    stdio: ["pipe", "pipe", "ignore"],
  });
  const settings = utf8(`${JSON.stringify({ home, idleMs, limitMs })}\n`);
  const message = concat(secret, settings);
  try {
    child.stdin?.on("error", () => {});
    await new Promise<void>((resolve) => child.stdin?.end(message, () => resolve()));
    const answer = await answerOf(child);
    if ("status" in answer) return answer.status;
    const { code, message: text, hint } = answer.error;
    throw new CryptoError(code, text, hint === undefined ? {} : { context: { hint } });
  } finally {
    zero(message);
    child.unref();
    child.stdout?.destroy();
    child.stdin?.destroy();
  }
}

/** Those that this lango needs to read its own files, and those that keep a debugger and the environment out. */
const nodeOptions = (): string[] => [
  ...process.execArgv.filter((option) => option.startsWith("--conditions=")),
  "--disable-sigusr1",
  "--report-exclude-env",
];

async function answerOf(child: ChildProcess): Promise<AgentAnswer> {
  const timer = setTimeout(() => child.kill("SIGKILL"), START_MS);
  let text = "";
  try {
    for await (const chunk of child.stdout as Readable) {
      text += chunk;
      if (text.includes("\n") || text.length > MAX_ANSWER_BYTES) break;
    }
    return JSON.parse(text) as AgentAnswer;
  } catch (cause) {
    throw new CryptoError("ERR_INTERNAL", "The unlock agent did not start", { cause });
  } finally {
    clearTimeout(timer);
  }
}

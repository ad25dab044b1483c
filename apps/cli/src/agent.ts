// The program of the unlock agent. It is started by "lango unlock" alone, which hands over 12 bytes of slot id, 32 of vault
// key and a line of settings on standard input, and reads one line of answer.
import { readFileSync, readSync, writeSync } from "node:fs";
import { type Bytes, CryptoError, isCryptoError, toHex, zero } from "@lango/crypto-core";
import { noteAgentEnd, startAgent } from "@lango/unlock";
import { closeInherited } from "./agent/close-inherited.ts";
import type { AgentAnswer } from "./agent/start.ts";
import { hardenProcess, restrictProcess } from "./cli/process.ts";

const SLOT_ID_BYTES = 12;
const SECRET_BYTES = SLOT_ID_BYTES + 32;
const MAX_INPUT_BYTES = 16_384;
const STDIN = 0;
const STDOUT = 1;

async function main(): Promise<void> {
  restrictProcess();
  const input = new Uint8Array(MAX_INPUT_BYTES);
  try {
    closeInherited();
    hardenProcess();
    checkHardened();
    const length = readAll(input);
    const { home, idleMs, limitMs } = JSON.parse(
      new TextDecoder().decode(input.subarray(SECRET_BYTES, length)),
    );
    const slotId = toHex(input.subarray(0, SLOT_ID_BYTES));
    // Its own memory: what is zeroed in the end is all that there is.
    const vaultKey: Bytes = input.slice(SLOT_ID_BYTES, SECRET_BYTES);
    zero(input);
    const agent = await startAgent({ home, idleMs, limitMs, slotId, vaultKey });
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, agent.stop);
    process.on("uncaughtException", agent.stop);
    answer({ status: agent.status });
    const why = await agent.ended;
    // Whoever locks it writes the row itself.
    if (why !== "locked") await noteAgentEnd(home, why, process.pid);
    process.exit(0);
  } catch (error) {
    zero(input);
    answer({ error: faultOf(error) });
    process.exit(1);
  }
}

/** @throws CryptoError `ERR_UNSUPPORTED` where the key could get into a file or a debugger all the same. */
function checkHardened(): void {
  const report = process.report as typeof process.report & { excludeNetwork: boolean };
  // Looking up the names of addresses takes its time.
  report.excludeNetwork = true;
  const { userLimits } = report.getReport() as unknown as {
    userLimits: { core_file_size_blocks: { hard: unknown } };
  };
  const limit = userLimits.core_file_size_blocks.hard;
  // A program that is given core files through a pipe gets them in spite of the limit (core(5)): the filter empties those.
  const filter = process.platform === "linux" ? readFilter() : 0;
  if (Number(limit) === 0 && filter === 0 && !process.execArgv.some((o) => o.includes("inspect"))) {
    return;
  }
  throw new CryptoError(
    "ERR_UNSUPPORTED",
    "The agent does not start: core files or a debugger cannot be turned off here",
    { context: { hint: "Let the keyring or a key file open the vault instead" } },
  );
}

const readFilter = (): number =>
  Number.parseInt(readFileSync("/proc/self/coredump_filter", "utf8"), 16);

/** Reads standard input to its end, into memory that is zeroed; Node's own stream would keep a copy. */
function readAll(into: Uint8Array): number {
  let length = 0;
  while (length < into.length) {
    const read = readSync(STDIN, into, length, into.length - length, null);
    if (read === 0) return length;
    length += read;
  }
  throw new CryptoError("ERR_INVALID_ARGUMENT", "The agent was given too much");
}

/** The command that started it may be gone by now. */
function answer(line: AgentAnswer): void {
  try {
    writeSync(STDOUT, `${JSON.stringify(line)}\n`);
  } catch {}
}

const faultOf = (error: unknown): Extract<AgentAnswer, { error: unknown }>["error"] =>
  isCryptoError(error)
    ? { code: error.code, message: error.message, hint: error.context.hint }
    : { code: "ERR_INTERNAL", message: error instanceof Error ? error.message : String(error) };

await main();

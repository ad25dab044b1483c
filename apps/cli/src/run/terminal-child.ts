import { concat } from "@lango/crypto-core";
import type { TerminalMasker } from "@lango/guard";
import type { IPty, spawn } from "@lydell/node-pty";
import { writeAll } from "../cli/output.ts";
import type { Masking } from "./masking.ts";
import { MONITOR, takeNumber } from "./monitor.ts";
import { TerminalModes } from "./terminal-modes.ts";

/** How often a stopped monitor is continued: a signal that comes before it has stopped is lost on it. */
const CONTINUE_AFTER_MS = [0, 20, 100] as const;

export interface TerminalChild {
  /** The exit status, as shells report it, when all output is out. */
  readonly ended: Promise<number>;
  kill(signal: NodeJS.Signals): void;
}

/** The package for pseudo-terminals, which is optional. */
export async function loadPty(): Promise<{ readonly spawn: typeof spawn } | undefined> {
  try {
    return (await import("@lydell/node-pty")).default;
  } catch {
    return undefined;
  }
}

/**
 * Starts a command on a pseudo-terminal, between which and ours every byte goes through the scanner. Ours is in raw mode
 * meanwhile: Ctrl-C and the like are keys, and the pseudo-terminal makes signals of them.
 */
export function spawnOnTerminal(
  start: (command: string, words: string[], size: { cols: number; rows: number }) => IPty,
  file: string,
  words: readonly string[],
  masking: Masking,
): TerminalChild {
  const { stdin, stdout: screen } = process;
  const modes = new TerminalModes();
  const size = () => ({ cols: screen.columns || 80, rows: screen.rows || 24 });
  const pty = start("/bin/sh", ["-c", MONITOR, "lango", file, ...words], size());
  const output = new ScreenOutput(masking, () => pty.kill("SIGKILL"));
  let pid: number | undefined;
  const waiting: NodeJS.Signals[] = [];
  const kill = (signal: NodeJS.Signals): void => {
    if (pid === undefined) waiting.push(signal);
    else {
      try {
        // A terminal that goes away tells it to the whole job.
        process.kill(signal === "SIGHUP" ? -pid : pid, signal);
      } catch {
        // It has just ended.
      }
    }
  };

  const onKeys = (keys: Buffer): void => {
    output.typed(keys);
    // Bytes are written as they are; its types lag behind.
    pty.write(keys as unknown as string);
  };
  const listen = (): void => {
    modes.setRaw();
    // A terminal that is gone is an error here; SIGHUP says it to the command.
    stdin
      .on("data", onKeys)
      .on("error", () => {})
      .resume();
  };
  const onResize = (): void => pty.resize(size().cols, size().rows);
  const onStop = (): void => {
    modes.restore();
    // As the terminal would: the whole job stops, and nothing happens where nobody could continue it.
    process.removeListener("SIGTSTP", onStop);
    process.kill(0, "SIGTSTP");
    // Continued, in the foreground again.
    setImmediate(() => {
      process.on("SIGTSTP", onStop);
      modes.setRaw();
      onResize();
      for (const after of CONTINUE_AFTER_MS) setTimeout(() => pty.kill("SIGCONT"), after).unref();
    });
  };
  screen.on("resize", onResize);
  process.on("SIGTSTP", onStop);

  let head: Uint8Array = new Uint8Array();
  // With `encoding: null` these are bytes, whatever its types say.
  const ended = new Promise<number>((resolve, reject) => {
    pty.onData((data) => {
      const bytes = data as unknown as Uint8Array;
      if (pid !== undefined) {
        output.write(bytes);
        return;
      }
      head = concat(head, bytes);
      const taken = takeNumber(head);
      if (taken === undefined) return;
      pid = taken.pid;
      for (const signal of waiting) kill(signal);
      listen();
      if (taken.rest.length > 0) output.write(taken.rest);
    });
    pty.onExit(({ exitCode, signal = 0 }) => {
      process.removeListener("SIGTSTP", onStop);
      output
        .end()
        .then(() => resolve(signal > 0 ? 128 + signal : exitCode), reject)
        .finally(() => {
          stdin.off("data", onKeys).pause();
          modes.restore();
          screen.off("resize", onResize);
        });
    });
  });
  return { ended, kill };
}

/** Writes to our terminal what the scanner lets through; keeps it until there is a scanner. */
class ScreenOutput {
  #masker: TerminalMasker | undefined;
  readonly #masking: Masking;
  readonly #giveUp: () => void;
  #early: Uint8Array[] = [];
  #starting: Promise<void> | undefined;

  constructor(masking: Masking, giveUp: () => void) {
    this.#masking = masking;
    this.#giveUp = giveUp;
  }

  typed(keys: Uint8Array): void {
    this.#masker?.typed(keys);
  }

  write(chunk: Uint8Array): void {
    if (this.#masker !== undefined) {
      show(this.#masker.write(chunk));
      return;
    }
    // Not left in the terminal: what is there when the command ends would be lost.
    this.#early.push(Uint8Array.from(chunk));
    this.#starting ??= this.#start();
    this.#starting.catch(this.#giveUp);
  }

  async end(): Promise<void> {
    await this.#starting;
    if (this.#masker !== undefined) show(this.#masker.end());
  }

  async #start(): Promise<void> {
    const scanner = await this.#masking.scanner();
    this.#masker = scanner.createTerminalMasker();
    for (const chunk of this.#early.splice(0)) show(this.#masker.write(chunk));
  }
}

/** Waits for the terminal: a slow one slows the command down, and nothing piles up here. */
function show(pieces: readonly Uint8Array[]): void {
  if (pieces.length === 0) return;
  try {
    writeAll(1, concat(...pieces));
  } catch {
    // The terminal is gone; the command gets SIGHUP when its own goes with us.
  }
}

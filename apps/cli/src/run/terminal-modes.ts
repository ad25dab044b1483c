import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { isTerminal } from "../cli/color.ts";

/**
 * The modes of our terminal (termios). Raw by `stty`: what Node calls raw still turns a line feed into a line break, which
 * is the work of the command's own terminal, and full-screen programs turn it off there.
 */
export class TerminalModes {
  readonly #before: string | undefined = stty("-g")?.trim();
  #isRaw = false;
  readonly #atExit = (): void => this.restore();

  setRaw(): void {
    this.#isRaw = true;
    process.once("exit", this.#atExit);
    if (this.#before === undefined) process.stdin.setRawMode(true);
    else stty("raw", "-echo");
  }

  /** As it was before the command. */
  restore(): void {
    if (!this.#isRaw) return;
    this.#isRaw = false;
    process.off("exit", this.#atExit);
    if (this.#before === undefined) process.stdin.setRawMode(false);
    else stty(this.#before);
  }
}

/** `undefined` where there is no `stty`, or no terminal. */
function stty(...words: string[]): string | undefined {
  const { status, stdout } = spawnSync("stty", words, {
    stdio: ["inherit", "pipe", "ignore"],
    encoding: "utf8",
    // The environment may hold what opens the vault.
    env: { PATH: process.env["PATH"] },
  });
  return status === 0 ? stdout : undefined;
}

/**
 * Whether a command can be given a terminal: all three streams are one, and this process is in its foreground. One in the
 * background would be stopped as soon as it changes the modes.
 */
export const hasTerminal = (): boolean => [0, 1, 2].every(isTerminal) && isForeground();

function isForeground(): boolean {
  try {
    // proc_pid_stat(5): behind the name, which may hold anything, pgrp is the third field and tpgid the sixth.
    const fields = readFileSync("/proc/self/stat", "latin1").split(") ").at(-1)!.split(" ");
    return fields[2] === fields[5];
  } catch {
    return true;
  }
}

import { spawnSync } from "node:child_process";

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
  });
  return status === 0 ? stdout : undefined;
}

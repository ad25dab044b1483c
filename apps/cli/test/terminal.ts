import { type IPty, spawn } from "@lydell/node-pty";
import { expect, onTestFinished } from "vitest";

/** A program on a pseudo-terminal of its own. */
export class Terminal {
  output = "";
  readonly #pty: IPty;
  readonly #ended: Promise<{ exitCode: number; signal?: number | undefined }>;

  constructor(file: string, parameters: string[], env: NodeJS.ProcessEnv = process.env) {
    this.#pty = spawn(file, parameters, { cols: 300, env });
    this.#pty.onData((data) => {
      this.output += data;
    });
    this.#ended = new Promise((resolve) => this.#pty.onExit(resolve));
    onTestFinished(() => {
      try {
        this.#pty.kill("SIGKILL");
      } catch {}
    });
  }

  async see(text: string): Promise<void> {
    await expect.poll(() => this.output, { timeout: 10_000 }).toContain(text);
  }

  type(text: string | Buffer): void {
    // Its types lag behind: bytes are written as they are, also half a character.
    this.#pty.write(text as string);
  }

  resize(columns: number, rows: number): void {
    this.#pty.resize(columns, rows);
  }

  /** Sends the program a signal, as another process does. */
  signal(name: NodeJS.Signals): void {
    process.kill(this.#pty.pid, name);
  }

  /** The process that asks, as it says itself. */
  childPid(): number {
    return Number(/pid=(\d+)/.exec(this.output)?.[1]);
  }

  /** Takes the terminal away, as closing its window does. */
  hangUp(): void {
    (this.#pty as IPty & { destroy(): void }).destroy();
  }

  end(): Promise<{ exitCode: number; signal?: number | undefined }> {
    return this.#ended;
  }
}

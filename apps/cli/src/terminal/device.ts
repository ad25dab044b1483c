import { closeSync, constants, openSync } from "node:fs";
import { open } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { ReadStream } from "node:tty";
import { ownTerminal, type TerminalDevice } from "@lango/guard";
import { hiddenEditor, holdTerminal, readLine, visibleEditor } from "./prompt.ts";

const FLAGS = constants.O_RDWR | constants.O_NOCTTY;
/** How long what was typed before the question is thrown away. */
const DRAIN_MS = 100;

/**
 * The terminal that this process belongs to, whatever its standard input and output are. Opened anew for each question.
 *
 * @param path - Default: `/dev/tty`.
 */
export const terminalDevice = (path = "/dev/tty"): TerminalDevice => ({
  number() {
    try {
      closeSync(openSync(path, FLAGS));
    } catch {
      return undefined;
    }
    return ownTerminal();
  },

  async ask({ lines, label, hidden }, signal) {
    signal.throwIfAborted();
    // Not a stream: a terminal that was told to stop would block the whole process.
    const output = await open(path, FLAGS);
    const input = new ReadStream(openSync(path, FLAGS));
    const release = holdTerminal(input);
    let written = Promise.resolve();
    const write = (text: string): void => {
      written = written.then(() => output.write(text)).then(ignore, ignore);
    };
    try {
      input.on("error", ignore).on("data", ignore);
      await setTimeout(DRAIN_MS, undefined, { signal });
      input.off("data", ignore);
      for (const line of lines) write(`${line}\n`);
      const editor = hidden ? hiddenEditor() : visibleEditor();
      const line = await readLine({ input, write, release, signal }, label, editor);
      signal.throwIfAborted();
      return line;
    } finally {
      release();
      input.destroy();
      await written;
      await output.close();
    }
  },
});

const ignore = (): void => {};

import { setTimeout as sleep } from "node:timers/promises";
import type { ReadStream } from "node:tty";
import { type Bytes, CryptoError } from "@lango/crypto-core";
import { isContinuation, LineEditor, type LineEnd } from "./line-editor.ts";

/** Signals that end a process and leave the terminal as it is, unless somebody mends it first. */
const ENDING_SIGNALS = ["SIGTERM", "SIGHUP", "SIGINT"] as const;

/**
 * Asks on the terminal without showing the answer; each character is echoed as `*`. Backspace, Ctrl-U and pasting work.
 *
 * @returns The bytes as the terminal sent them, without the line ending; the caller zeroes them. `undefined` when the
 *   person gave up with Ctrl-D, or the terminal is gone.
 * @throws An error named `AbortError` for Ctrl-C. CryptoError `ERR_INVALID_ARGUMENT` when standard input or standard
 *   error is no terminal, or for a line of more than 64 KiB.
 */
export function promptHidden(label: string): Promise<Bytes | undefined> {
  return ask(label, hiddenEditor());
}

/**
 * Asks on the terminal for a line that may be seen. Otherwise like {@link promptHidden}.
 *
 * @param signal - Withdraws the question: `undefined`.
 */
export async function promptLine(label: string, signal?: AbortSignal): Promise<string | undefined> {
  const answer = await ask(label, visibleEditor(), signal);
  return answer === undefined ? undefined : new TextDecoder().decode(answer);
}

/** Asks a question to which everything but `y` or `yes` means no. Otherwise like {@link promptLine}. */
export async function confirm(question: string, signal?: AbortSignal): Promise<boolean> {
  return /^y(es)?$/i.test((await promptLine(`${question} [y/N] `, signal))?.trim() ?? "");
}

/**
 * Throws away what was typed until now, and for a moment more: it was no answer to what is asked next.
 *
 * @throws As {@link promptHidden}, for Ctrl-C and without a terminal.
 */
export async function discardTyped(): Promise<void> {
  requireTerminal();
  const { stdin } = process;
  const release = holdTerminal(stdin);
  let interrupted = false;
  const discard = (chunk: Buffer): void => {
    interrupted ||= chunk.includes(CTRL_C);
    chunk.fill(0);
  };
  stdin.on("data", discard).resume();
  await sleep(DISCARD_MS);
  stdin.off("data", discard).pause();
  release();
  if (interrupted) throw interruptedByPerson();
}

/** Longer than what was on its way takes to come, shorter than a person takes to read. */
const DISCARD_MS = 250;
const CTRL_C = 3;

/** Echoes a star for each character. */
export const hiddenEditor = (): LineEditor =>
  new LineEditor(([byte = 0]) => (isContinuation(byte) ? "" : "*"));

/** Echoes what is typed. */
export const visibleEditor = (): LineEditor => {
  // The decoder joins the bytes of a character, which come one by one.
  const decoder = new TextDecoder();
  return new LineEditor((typed) => decoder.decode(typed, { stream: true }));
};

function ask(label: string, editor: LineEditor, signal?: AbortSignal): Promise<Bytes | undefined> {
  requireTerminal();
  const { stdin, stderr } = process;
  const release = holdTerminal(stdin);
  const write = (text: string): unknown => stderr.write(text);
  return readLine({ input: stdin, write, release, signal }, label, editor);
}

/** A terminal in raw mode. */
export interface HeldTerminal {
  readonly input: ReadStream;
  readonly write: (text: string) => unknown;
  /** Puts it back. */
  readonly release: () => void;
  /** Withdraws the question: `undefined`. */
  readonly signal?: AbortSignal | undefined;
}

/** Shows a question and reads the answer; the terminal is released when it has ended. */
export function readLine(
  { input, write, release, signal }: HeldTerminal,
  label: string,
  editor: LineEditor,
): Promise<Bytes | undefined> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
      input.off("data", onData).off("end", onEnd).off("error", onError).pause();
      signal?.removeEventListener("abort", onEnd);
      release();
      write("\n");
      settle();
      editor.clear();
    };
    const onData = (chunk: Buffer): void => {
      try {
        const { used, output, end } = editor.feed(chunk);
        chunk.fill(0, 0, used);
        write(output);
        if (end === undefined) return;
        finish(() => settleWith(end, editor, resolve, reject));
        // What was typed ahead answers the next question.
        if (used < chunk.length) input.unshift(chunk.subarray(used));
      } catch (error) {
        chunk.fill(0);
        onError(error);
      }
    };
    const onEnd = (): void => finish(() => resolve(undefined));
    const onError = (error: unknown): void => finish(() => reject(error));
    input.on("data", onData).on("end", onEnd).on("error", onError);
    signal?.addEventListener("abort", onEnd, { once: true });
    // Only now, with echo off, may the person see the question and start to type.
    write(label);
    input.resume();
  });
}

function requireTerminal(): void {
  if (process.stdin.isTTY && process.stderr.isTTY) return;
  throw new CryptoError("ERR_INVALID_ARGUMENT", "There is no terminal to ask on");
}

const interruptedByPerson = (): Error => new DOMException("Interrupted by Ctrl-C", "AbortError");

function settleWith(
  end: LineEnd,
  editor: LineEditor,
  resolve: (line: Bytes | undefined) => void,
  reject: (reason: Error) => void,
): void {
  if (end === "interrupted") reject(interruptedByPerson());
  else resolve(end === "entered" ? editor.take() : undefined);
}

/** Puts the terminal into raw mode, and back when the returned function is called or the process ends. */
export function holdTerminal(input: ReadStream): () => void {
  const release = (): void => {
    // A terminal that is gone cannot be put back, and nobody is left to be told.
    input.on("error", ignore).setRawMode(false).off("error", ignore);
    process.off("exit", release);
    for (const signal of ENDING_SIGNALS) process.off(signal, onSignal);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    release();
    // Having listened took away what the signal does by itself; other listeners have heard it, too.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  input.setRawMode(true);
  process.on("exit", release);
  for (const signal of ENDING_SIGNALS) process.on(signal, onSignal);
  return release;
}

const ignore = (): void => {};

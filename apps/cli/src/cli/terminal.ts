import { type Bytes, bytesEqual, CryptoError, utf8, zero } from "@lango/crypto-core";
import { onOtherScreen } from "../terminal/other-screen.ts";
import { confirm, promptHidden, promptLine } from "../terminal/prompt.ts";
import { usageError } from "./arguments.ts";
import { isTerminal } from "./color.ts";
import type { Context } from "./context.ts";
import { Interrupted } from "./failure.ts";

/** Whether standard input is a terminal. */
export const isTerminalInput = (): boolean => isTerminal(0);

/** Whether a person can be asked. Standard output does not matter: answers and questions do not go there. */
export const canAsk = (context: Context): boolean =>
  !context.noInput && isTerminal(0) && isTerminal(2);

/**
 * Asks for something that is not shown.
 *
 * @returns The caller zeroes it. `undefined` when the person gave up.
 */
export const askSecret = (label: string): Promise<Bytes | undefined> =>
  orInterrupted(promptHidden(label));

/** Asks for a line that may be seen. `undefined` when the person gave up. */
export const askLine = (label: string): Promise<string | undefined> =>
  orInterrupted(promptLine(label));

/** Asks for recovery words, which are shown as they are typed, on the screen that does not stay. */
export const askWords = async (label: string): Promise<Bytes | undefined> => {
  const line = await onOtherScreen(() => askLine(label));
  return line?.trim() ? utf8(line) : undefined;
};

/** Asks twice and insists on the same answer. The caller zeroes it. */
export async function askSecretTwice(label: string, again: string): Promise<Bytes> {
  const first = await askSecret(label);
  // A paste of several lines answers the second question by itself.
  const isPasted = process.stdin.readableLength > 0;
  const second = first && (await askSecret(again));
  if (first !== undefined && second !== undefined && bytesEqual(first, second)) {
    zero(second);
    return first;
  }
  zero(first, second);
  if (second !== undefined && isPasted) {
    throw usageError("The value has several lines: use --from-file or pipe it in");
  }
  throw usageError(
    second === undefined ? "Nothing was entered" : "The two entries differ",
    "Nothing was changed; run the command again",
  );
}

/** Asks a question to which no answer means no. */
export async function askYes(context: Context, question: string): Promise<boolean> {
  if (context.yes) {
    return true;
  }
  return canAsk(context) && (await orInterrupted(confirm(question)));
}

/** @throws CryptoError `ERR_INVALID_ARGUMENT` when nobody can be asked, `ERR_DENIED` when the answer is no. */
export async function requireYes(context: Context, question: string): Promise<void> {
  if (!context.yes && !canAsk(context)) {
    throw usageError("This needs a yes and nobody can be asked", "Say it with --yes");
  }
  if (!(await askYes(context, question))) {
    throw new CryptoError("ERR_DENIED", "Nothing was changed");
  }
}

/** Ctrl-C at a question ends the command as the signal would. */
export async function orInterrupted<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw error instanceof DOMException && error.name === "AbortError"
      ? new Interrupted("SIGINT")
      : error;
  }
}

import { type CryptoError, ERROR_CODES, isCryptoError } from "@lango/crypto-core";
import type { Paint } from "./color.ts";
import { printable, writeJson, writeNote } from "./output.ts";

/** 128 + SIGPIPE: what a Unix tool ends with when the reader of its output has gone. */
const EXIT_BROKEN_PIPE = 141;

/** The person pressed Ctrl-C at a question, or a signal ended work that had to be cleaned up first. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  /** 128 + the number of the signal, as a shell reports it. */
  readonly exit: number;

  constructor(signal: "SIGINT" | "SIGTERM") {
    super(`interrupted by ${signal}`);
    this.exit = signal === "SIGINT" ? 130 : 143;
  }
}

/** By its name: each file of the program has a copy of the class, so `instanceof` would not know that of another. */
export const isInterrupted = (error: unknown): error is Interrupted =>
  error instanceof Error && error.name === "Interrupted";

/** How failures are reported. */
export interface FailureStyle {
  readonly json: boolean;
  readonly debug: boolean;
  readonly paint: Paint;
}

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  /** When several things are wrong at once, each of them. */
  readonly faults?: unknown;
}

/**
 * Reports whatever ended a command, on stderr or as the JSON document, and returns its exit status.
 *
 * @param data - What the command found out all the same; it stands beside the error in the JSON document.
 */
export function reportFailure(error: unknown, style: FailureStyle, data?: unknown): number {
  if (isInterrupted(error)) {
    return error.exit;
  }
  if ((error as NodeJS.ErrnoException | undefined)?.code === "EPIPE") {
    return EXIT_BROKEN_PIPE;
  }
  const failure = isCryptoError(error) ? describe(error) : unexpected(error);
  if (style.debug && error instanceof Error) {
    writeNote(error.stack ?? String(error));
  }
  if (!style.json || !tellProgram(failure, data)) {
    const hint = failure.hint?.split("\n").map((line) => `\n  ${printable(line)}`) ?? [];
    writeNote(`${style.paint(2, "red", "lango:")} ${failure.message}${hint.join("")}`);
  }
  return isCryptoError(error) ? ERROR_CODES[error.code].exit : ERROR_CODES.ERR_INTERNAL.exit;
}

/** The document of a failure; false when it cannot be written, which may be the very failure. */
function tellProgram(error: Failure, data: unknown): boolean {
  try {
    writeJson({ ok: false, error, ...(data === undefined ? {} : { data }) });
    return true;
  } catch {
    return false;
  }
}

const describe = (error: CryptoError & { readonly faults?: unknown }): Failure => ({
  code: error.code,
  message: printable(error.message),
  ...(error.context.hint === undefined ? {} : { hint: error.context.hint }),
  ...(error.faults === undefined ? {} : { faults: error.faults }),
});

// A bug of ours or a fault of the system: the stack helps nobody but us, so it is shown on request only.
const unexpected = (error: unknown): Failure => ({
  code: "ERR_INTERNAL",
  message: printable(`Unexpected: ${error instanceof Error ? error.message : String(error)}`),
  hint: "Run it again with --debug for the stack",
});

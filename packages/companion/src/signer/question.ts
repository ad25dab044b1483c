import type { Peer } from "../peers.ts";
import type { MethodName } from "../protocol/methods.ts";

/** What a person is asked. */
export interface Question {
  readonly peer: Peer;
  readonly method: MethodName;
  readonly keyId?: string | undefined;
  /**
   * Everything that the person has to see, line by line, from the name of the device to the hash of what is signed. What
   * others wrote is escaped: no line holds a control character, an escape sequence or a change of direction.
   */
  readonly lines: readonly string[];
  /** Whether the other side calls the action dangerous, or it could take everything that a key holds. */
  readonly dangerous: boolean;
  /** Milliseconds since the epoch; a yes that comes later is worth nothing. */
  readonly expiresAt: number;
}

/** Where a person is asked. It belongs to one signer, which asks one question at a time. */
export interface Prompter {
  /**
   * Resolves `true` only for a yes to this question.
   *
   * @param signal - Aborts when the question is withdrawn: nobody waits for the answer any longer, or it took too long.
   */
  ask(question: Question, signal: AbortSignal): Promise<boolean>;
}

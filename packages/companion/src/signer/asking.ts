import { CryptoError, raceSignal } from "@lango/crypto-core";
import type { Prompter, Question } from "./question.ts";

export interface AskingOptions {
  readonly prompter: Prompter | undefined;
  readonly timeoutMs: number;
  readonly clock: () => number;
}

/** Who waits for an answer. */
export interface Waiting {
  /** Aborts when nobody waits any longer. */
  readonly signal: AbortSignal;
  /** Heartbeats go out until the returned function is called. */
  waiting(): () => void;
}

/** A question without its deadline; `expiresAt`, when there is one, is the latest. */
export type Asked = Omit<Question, "expiresAt"> & { readonly expiresAt?: number | undefined };

export type Ask = (question: Asked, waiting: Waiting) => Promise<boolean>;

/** Questions of one device that may wait; more would bury those of others. */
const MAX_QUESTIONS = 8;

/**
 * Asks one question at a time, in the order in which they came.
 *
 * @throws {@link CryptoError} From the returned function: `ERR_DENIED` without a prompter; `ERR_RATE_LIMITED` when 8 questions
 *   of the device wait; `ERR_APPROVAL_TIMEOUT` when the answer did not come in time; the reason of the signal.
 */
export const createAsking = ({ prompter, timeoutMs, clock }: AskingOptions): Ask => {
  const open = new Map<string, number>();
  /** Ends with the last question: its prompter has let go of the terminal. */
  let last: Promise<unknown> = Promise.resolve();

  const askNow = (
    at: Prompter,
    { expiresAt = Number.POSITIVE_INFINITY, ...asked }: Asked,
    signal: AbortSignal,
    shown: (answer: Promise<unknown>) => void,
  ): Promise<boolean> => {
    const until = Math.min(clock() + timeoutMs, expiresAt);
    if (until <= clock()) throw tooLate();
    const timer = new AbortController();
    const timeout = setTimeout(() => timer.abort(tooLate()), until - clock());
    const either = AbortSignal.any([signal, timer.signal]);
    return raceSignal(either, async () => {
      const answer = at.ask({ ...asked, expiresAt: until }, either);
      shown(answer);
      const approved = (await answer) === true;
      // A busy process may hear the answer before its own timer.
      if (clock() >= until) throw tooLate();
      return approved;
    }).finally(() => clearTimeout(timeout));
  };

  return async (question, { signal, waiting }) => {
    if (prompter === undefined) {
      throw new CryptoError("ERR_DENIED", "It needs a person's yes, and nobody can be asked here", {
        context: {
          hint: "Give the companion a terminal, or a rule for this: lango companion serve --allow",
        },
      });
    }
    const peer = question.peer.id;
    const count = open.get(peer) ?? 0;
    if (count >= MAX_QUESTIONS) {
      throw new CryptoError("ERR_RATE_LIMITED", `${count} questions of this device wait already`);
    }
    open.set(peer, count + 1);
    const stop = waiting();
    const turn = last;
    const done = Promise.withResolvers<unknown>();
    last = turn.then(() => done.promise).catch(() => undefined);
    try {
      await raceSignal(signal, () => turn);
      return await askNow(prompter, question, signal, done.resolve);
    } finally {
      done.resolve(undefined);
      stop();
      const left = (open.get(peer) ?? 1) - 1;
      if (left === 0) open.delete(peer);
      else open.set(peer, left);
    }
  };
};

const tooLate = (): CryptoError =>
  new CryptoError("ERR_APPROVAL_TIMEOUT", "Nobody answered the question in time");

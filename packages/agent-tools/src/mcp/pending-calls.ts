import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { FormAnswer, Question, QuestionChannel } from "./elicitation.ts";

/** How one round of a call ended: with its outcome, or with a question to the client, which comes back with the answer. */
export type Round<T> =
  | { readonly kind: "done"; readonly outcome: T }
  | { readonly kind: "question"; readonly id: string; readonly question: Question };

/** What a client sends with the answer to a question. */
export interface Continuation {
  readonly id: string;
  readonly answer: FormAnswer | undefined;
}

export interface CallRequest {
  readonly tool: string;
  readonly args: unknown;
  readonly client: string;
  /** Whether the client shows forms. */
  readonly showsForms: boolean;
  /** Aborts when the client cancels this round. */
  readonly signal: AbortSignal;
}

/**
 * Calls that wait for an answer of their client. In MCP a question ends the request, and the client makes it again with the
 * answer: the call goes on in between, with what it was first made with.
 */
export interface PendingCalls<T> {
  start(
    request: CallRequest,
    work: (channel: QuestionChannel, signal: AbortSignal) => Promise<T>,
  ): Promise<Round<T>>;
  /** `undefined`: there is no such call, or it was another one. */
  resume(request: CallRequest, continuation: Continuation): Promise<Round<T> | undefined>;
  /** Cancels what is under way. */
  close(): void;
}

interface Call<T> {
  readonly request: CallRequest;
  readonly controller: AbortController;
  readonly outcome: Promise<T>;
  /** Questions that were not put yet. */
  readonly waiting: Asked[];
  /** The one that the client has, by the id of its continuation. */
  asked?: Asked | undefined;
  /** Tells that there is a question. */
  onQuestion?: (() => void) | undefined;
}

interface Asked {
  readonly question: Question;
  readonly answer: (answer: FormAnswer) => void;
}

/** Longer than any approval waits by default; then a client that never comes back is forgotten. */
const KEPT_MS = 15 * 60_000;

export const createPendingCalls = <T>(keptMs: number = KEPT_MS): PendingCalls<T> => {
  const waiting = new Map<string, Call<T>>();
  const running = new Set<Call<T>>();

  /** Until the call ends or asks. */
  const round = async (call: Call<T>, signal: AbortSignal): Promise<Round<T>> => {
    const cancel = (): void => call.controller.abort(signal.reason);
    signal.addEventListener("abort", cancel, { once: true });
    if (signal.aborted) cancel();
    try {
      const next = await Promise.race([
        call.outcome.then((outcome) => ({ outcome })),
        nextQuestion(call),
      ]);
      if ("outcome" in next) return { kind: "done", outcome: next.outcome };
      call.asked = next;
      // Unguessable, and good for one answer: who has it is the client that was asked.
      const id = randomUUID();
      waiting.set(id, call);
      setTimeout(() => forget(id), keptMs).unref();
      return { kind: "question", id, question: next.question };
    } finally {
      call.onQuestion = undefined;
      signal.removeEventListener("abort", cancel);
    }
  };

  const forget = (id: string): void => {
    const call = waiting.get(id);
    if (waiting.delete(id)) call?.controller.abort(new Error("the client did not answer"));
  };

  return {
    start(request, work) {
      const controller = new AbortController();
      const questions: Asked[] = [];
      const channel: QuestionChannel = {
        isOpen: request.showsForms,
        client: request.client,
        ask: (question) =>
          new Promise((answer) => {
            questions.push({ question, answer });
            call.onQuestion?.();
          }),
      };
      const call: Call<T> = {
        ...{ request, controller, waiting: questions },
        // Not before `call` is there: a question may come at once.
        outcome: Promise.resolve().then(() => work(channel, controller.signal)),
      };
      running.add(call);
      const end = (): boolean => running.delete(call);
      call.outcome.then(end, end);
      return round(call, request.signal);
    },

    async resume(request, { id, answer }) {
      const call = waiting.get(id);
      if (call === undefined) return undefined;
      waiting.delete(id);
      const { tool, args } = call.request;
      if (tool !== request.tool || !isDeepStrictEqual(args, request.args)) {
        call.controller.abort(new Error("the call was made again with other arguments"));
        return undefined;
      }
      call.asked?.answer(answer ?? { action: "cancel" });
      call.asked = undefined;
      return round(call, request.signal);
    },

    close() {
      for (const call of running) call.controller.abort(new Error("the connection was closed"));
      waiting.clear();
    },
  };
};

const nextQuestion = async <T>(call: Call<T>): Promise<Asked> => {
  const next = call.waiting.shift();
  if (next !== undefined) return next;
  await new Promise<void>((resolve) => {
    call.onQuestion = resolve;
  });
  return nextQuestion(call);
};

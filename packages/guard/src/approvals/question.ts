import { CryptoError, isBytes } from "@lango/crypto-core";
import type { Answer, ApprovalRequest, Scope, Surface } from "./types.ts";

/** How a question ended. */
export type Outcome =
  | { readonly kind: "answer"; readonly surface: string; readonly answer: Answer }
  | { readonly kind: "expired" | "unanswered" | "aborted"; readonly reason: string };

/** One request in front of all surfaces. The first answer, or the end of the time, settles it; nothing after that matters. */
export interface Question {
  readonly request: ApprovalRequest;
  readonly outcome: Promise<Outcome>;
  /** Puts it to a surface, once. */
  ask(surface: Surface): void;
  /** A surface is gone: it is told, and its answer does not count any more. */
  drop(surface: Surface): void;
  /** From now on the question ends when the last surface has failed. */
  allAsked(): void;
  cancel(reason: string): void;
}

export interface QuestionOptions {
  readonly timeoutMs: number;
  readonly clock: () => number;
  readonly signal: AbortSignal | undefined;
}

export const openQuestion = (request: ApprovalRequest, options: QuestionOptions): Question => {
  const { timeoutMs, clock, signal } = options;
  const asked = new Map<Surface, AbortController>();
  const waiting = new Set<Surface>();
  let areAllAsked = false;
  let settled = false;
  const { promise, resolve } = Promise.withResolvers<Outcome>();

  const settle = (outcome: Outcome): void => {
    if (settled) return;
    settled = true;
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
    resolve(outcome);
    const over = new CryptoError("ERR_CLOSED", `This approval is over: ${whatOf(outcome)}`);
    for (const controller of asked.values()) controller.abort(over);
  };
  const expire = (): void => settle({ kind: "expired", reason: "nobody answered in time" });
  const onAbort = (): void => settle({ kind: "aborted", reason: "the one that asked gave up" });

  // Two clocks: the timer cannot be set back, and what the request says of its end holds for all who see it.
  const timer = setTimeout(expire, timeoutMs);
  signal?.addEventListener("abort", onAbort);
  if (signal?.aborted) onAbort();

  const failed = (surface: Surface): void => {
    waiting.delete(surface);
    if (areAllAsked && waiting.size === 0) {
      settle({ kind: "unanswered", reason: "nobody who was asked can answer" });
    }
  };

  const answered = (surface: Surface, answer: unknown): void => {
    if (settled || !waiting.has(surface)) return;
    // What counted when it was asked may not count now: a client that has become the requester's.
    const read = readAnswer(answer);
    if (read === undefined || !counts(surface, request)) failed(surface);
    else if (clock() >= request.expiresAt) expire();
    else settle({ kind: "answer", surface: surface.name, answer: read });
  };

  return {
    request,
    outcome: promise,
    ask(surface) {
      if (settled || asked.has(surface)) return;
      const controller = new AbortController();
      asked.set(surface, controller);
      waiting.add(surface);
      // Within a promise, so that what it throws at once is caught as well.
      Promise.resolve()
        .then(() => surface.ask(request, controller.signal))
        .then(
          (answer) => answered(surface, answer),
          () => failed(surface),
        );
    },
    drop(surface) {
      asked.get(surface)?.abort(new CryptoError("ERR_CLOSED", "This surface was removed"));
      if (waiting.has(surface)) failed(surface);
    },
    allAsked() {
      areAllAsked = true;
      if (waiting.size === 0) {
        settle({ kind: "unanswered", reason: "nobody who was asked can answer" });
      }
    },
    cancel: (reason) => settle({ kind: "unanswered", reason }),
  };
};

/** Whether a yes of a surface is worth anything. One that fails at this question has no say. */
export const counts = (surface: Surface, request: ApprovalRequest): boolean => {
  try {
    return surface.counts(request) === true;
  } catch {
    return false;
  }
};

const whatOf = (outcome: Outcome): string => {
  if (outcome.kind !== "answer") return outcome.reason;
  return outcome.answer.approved ? "it was approved elsewhere" : "it was denied elsewhere";
};

const MAX_BY_LENGTH = 256;

/** Surfaces are code of others: only what is exactly an answer is one. A copy, read once. */
const readAnswer = (answer: unknown): Answer | undefined => {
  if (typeof answer !== "object" || answer === null) return undefined;
  const { approved, scope = "once", by, evidence } = answer as Partial<Answer>;
  const isNamed =
    typeof by === "string" && by.length > 0 && by.length <= MAX_BY_LENGTH && by.isWellFormed();
  if (typeof approved !== "boolean" || !isNamed || !isScope(scope)) return undefined;
  if (evidence !== undefined && !isBytes(evidence)) return undefined;
  return { approved, scope, by, ...(evidence && { evidence: new Uint8Array(evidence) }) };
};

const MAX_MINUTES = 30 * 24 * 60;

const isScope = (scope: Scope): boolean =>
  typeof scope === "object"
    ? Number.isSafeInteger(scope?.minutes) && scope.minutes >= 1 && scope.minutes <= MAX_MINUTES
    : ["once", "process-tree", "command", "destination"].includes(scope);

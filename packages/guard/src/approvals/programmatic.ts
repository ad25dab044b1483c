import type { Answer, ApprovalRequest, Surface } from "./types.ts";

export interface ProgrammaticOptions {
  /** For reasons and the audit. Default: `program`. */
  readonly name?: string;
  /** Gives the answer. What it throws is no answer. */
  readonly ask: (request: ApprovalRequest, signal: AbortSignal) => Promise<Answer> | Answer;
  /**
   * Whether the answer proves an approver, so that it counts for dangerous actions too. Only whoever knows how `ask` finds its
   * answer can say that. Default: false.
   */
  readonly provesApprover?: boolean;
}

/** A surface that is a function. */
export const createProgrammaticSurface = (options: ProgrammaticOptions): Surface => {
  const { name = "program", ask, provesApprover = false } = options;
  return {
    name,
    counts: ({ dangerous }) => !dangerous || provesApprover,
    ask: async (request, signal) => ask(request, signal),
  };
};

import { createHmac } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import type { Action, Answer, ApprovalPolicy, BrokerVault, Surface } from "@lango/guard";

/** What the broker told the vault, in order. */
export interface Noted {
  readonly kind: string;
  readonly id: string;
  readonly reason?: string;
  readonly by?: string;
  readonly via?: string;
}

type NewGrant = Parameters<BrokerVault["grants"]["add"]>[0];

export interface MemoryVault extends BrokerVault {
  readonly notes: Noted[];
  readonly added: NewGrant[];
  /** What the next `match` finds. */
  granted: { readonly id: string; readonly by: string } | undefined;
  /** Makes `record` fail for these kinds. */
  failing: readonly string[];
}

/** The vault's side in memory; the real one is in the tests of `@lango/agent-tools`. */
export const memoryVault = (): MemoryVault => {
  const vault: MemoryVault = {
    notes: [],
    added: [],
    granted: undefined,
    failing: [],
    commit: (request) =>
      new Uint8Array(createHmac("sha256", "key").update(JSON.stringify(request)).digest()),
    async record({ kind, request, reason, by, via }) {
      await setImmediate();
      if (vault.failing.includes(kind)) throw new Error("the log is full");
      vault.notes.push({
        ...{ kind, id: request.id },
        ...(reason && { reason }),
        ...(by && { by }),
        ...(via && { via }),
      });
    },
    grants: {
      match: async () => vault.granted,
      add: async (grant) => {
        vault.added.push(grant);
        return { id: `grant-${vault.added.length}`, by: grant.by };
      },
    },
  };
  return vault;
};

export const ACTION: Action = { session: "s1", tool: "exec", arguments: { command: "ls" } };

export const policyOf = (policy: Partial<ApprovalPolicy> = {}): ApprovalPolicy => ({
  enabled: true,
  approvalPolicy: "dangerous",
  sensitiveTools: [],
  exemptTools: [],
  ...policy,
});

/** A surface that answers when the test says so. */
export interface Desk extends Surface {
  answer(answer: unknown): void;
  fail(): void;
  readonly signals: AbortSignal[];
  readonly asked: number;
  counting: boolean | (() => boolean);
}

export const desk = (name = "desk"): Desk => {
  const waiting: PromiseWithResolvers<Answer>[] = [];
  const signals: AbortSignal[] = [];
  const made: Desk = {
    name,
    signals,
    counting: true,
    get asked() {
      return signals.length;
    },
    counts: () => (typeof made.counting === "function" ? made.counting() : made.counting),
    ask(_request, signal) {
      const answer = Promise.withResolvers<Answer>();
      waiting.push(answer);
      signals.push(signal);
      return answer.promise;
    },
    answer: (answer) => waiting.shift()?.resolve(answer as Answer),
    fail: () => waiting.shift()?.reject(new Error("out of order")),
  };
  return made;
};

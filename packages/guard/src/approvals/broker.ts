import { type Bytes, CryptoError, randomBytesFresh, toHex } from "@lango/crypto-core";
import { needsApproval } from "./policy.ts";
import { identitiesFrom } from "./processes.ts";
import { counts, type Outcome, openQuestion, type Question } from "./question.ts";
import { snapshot } from "./snapshot.ts";
import { escapeText, summarize } from "./summary.ts";
import type {
  Action,
  Answer,
  ApprovalPolicy,
  ApprovalRequest,
  Broker,
  DecideOptions,
  Decision,
  JsonObject,
  Surface,
} from "./types.ts";

/** A grant that the vault found or made. */
export interface GrantRef {
  readonly id: string;
  readonly by: string;
}

/** What the broker needs of a vault: `vault.approvals` of `@lango/vault` is one. */
export interface BrokerVault {
  /** HMAC over the canonical form. */
  commit(request: JsonObject): Bytes;
  /** Writes to the audit log. */
  record(event: {
    readonly kind: "request" | "approve" | "deny" | "expire";
    readonly request: ApprovalRequest;
    readonly via?: string;
    readonly by?: string;
    readonly reason?: string;
    readonly evidence?: Bytes;
  }): Promise<void>;
  readonly grants: {
    match(query: {
      readonly action: Action;
      readonly dangerous: boolean;
      readonly processes: readonly string[];
    }): Promise<GrantRef | undefined>;
    add(grant: {
      readonly scope: "minutes" | "process-tree" | "command" | "destination";
      readonly action: Action;
      readonly process?: string;
      readonly dangerous: boolean;
      readonly by: string;
      readonly minutes: number;
    }): Promise<GrantRef>;
  };
}

export interface BrokerOptions {
  readonly vault: BrokerVault;
  /** What holds now: the vault's policy, tightened by the configuration (`tightenPolicy`). Asked at each decision. */
  readonly policy: () => Promise<ApprovalPolicy>;
  /** How long a request is open, in ms. Default: 30,000. */
  readonly timeoutMs?: number;
  /** How long a grant holds that has no time of its own. Default: 480 (8 hours). */
  readonly grantMinutes?: number;
  /** Milliseconds since the epoch, for the request. Default: `Date.now`. How long it is open is measured by another clock. */
  readonly clock?: () => number;
}

/** A misspelt one must not pass for harmless. */
const SAFETIES: ReadonlySet<unknown> = new Set(["safe", "moderate", "dangerous"]);
const MAX_TIMEOUT_MS = 24 * 60 * 60 * 1000;

/** Makes a broker; see {@link Broker}. */
export const createBroker = (options: BrokerOptions): Broker => {
  const { vault, policy, grantMinutes = 480, clock = Date.now } = options;
  const surfaces = new Set<Surface>();
  const open = new Set<Question>();
  let closed = false;

  const request = (action: Action, decide: DecideOptions, timeoutMs: number): ApprovalRequest => {
    const id = toHex(randomBytesFresh(16));
    const createdAt = clock();
    const expiresAt = createdAt + timeoutMs;
    return Object.freeze({
      ...action,
      id,
      commitment: vault.commit({ ...action, id, expiry: expiresAt } as unknown as JsonObject),
      createdAt,
      expiresAt,
      dangerous: decide.safety === "dangerous",
      requester: Object.freeze({ ...decide.requester }),
      summary: summarize(action),
    });
  };

  const byGrant = async (asked: ApprovalRequest, action: Action): Promise<Decision | undefined> => {
    const { processId } = asked.requester;
    const processes = processId === undefined ? [] : identitiesFrom(processId);
    const grant = await vault.grants.match({ action, dangerous: asked.dangerous, processes });
    return grant && { via: "grant", by: grant.by, grantId: grant.id, request: asked };
  };

  const byPerson = async (
    asked: ApprovalRequest,
    action: Action,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Decision> => {
    const counting = [...surfaces].filter((surface) => counts(surface, asked));
    if (counting.length === 0) {
      const reason = whyNobody(asked, surfaces);
      await vault.record({ kind: "deny", request: asked, reason });
      throw denied(asked, reason);
    }
    const question = openQuestion(asked, { timeoutMs, clock, signal });
    open.add(question);
    try {
      await vault.record({ kind: "request", request: asked });
      // Those that came while the row was written are here, too.
      for (const surface of surfaces) if (counts(surface, asked)) question.ask(surface);
      question.allAsked();
      return await finish(asked, action, await question.outcome, signal);
    } finally {
      question.cancel("it could not be asked");
      open.delete(question);
    }
  };

  const finish = async (
    asked: ApprovalRequest,
    action: Action,
    outcome: Outcome,
    signal: AbortSignal | undefined,
  ): Promise<Decision> => {
    if (outcome.kind !== "answer" || !outcome.answer.approved) {
      const { via, by, reason } = describeNo(outcome);
      const kind = outcome.kind === "expired" ? "expire" : "deny";
      await vault.record({ kind, request: asked, reason, ...(via && { via }), ...(by && { by }) });
      if (outcome.kind === "aborted") signal?.throwIfAborted();
      if (outcome.kind === "expired") {
        throw new CryptoError(
          "ERR_APPROVAL_TIMEOUT",
          `Nobody approved ${escapeText(asked.tool)} in time`,
        );
      }
      throw denied(asked, reason);
    }
    const { surface, answer } = outcome;
    const grant = await grantFor(asked, action, answer);
    const { by, evidence } = answer;
    // Last: what the log calls approved is approved, and what it does not know is not.
    await vault.record({
      ...{ kind: "approve", request: asked, via: surface, by },
      ...(evidence && { evidence }),
    });
    return {
      ...{ via: surface, by, request: asked },
      ...(grant && { grantId: grant.id }),
      ...(evidence && { evidence }),
    };
  };

  /** A scope for which the action has nothing is a yes for this once. */
  const grantFor = async (
    { dangerous, requester }: ApprovalRequest,
    action: Action,
    { scope = "once", by }: Answer,
  ): Promise<GrantRef | undefined> => {
    if (scope === "once") return undefined;
    const add = (name: "minutes" | "process-tree" | "command" | "destination", process?: string) =>
      vault.grants.add({
        ...{ scope: name, action, dangerous, by },
        minutes: typeof scope === "object" ? scope.minutes : grantMinutes,
        ...(process !== undefined && { process }),
      });
    if (typeof scope === "object") return add("minutes");
    if (scope === "process-tree") {
      const [process] =
        requester.processId === undefined ? [] : identitiesFrom(requester.processId);
      return process === undefined ? undefined : add(scope, process);
    }
    const has = scope === "command" ? action.binary : action.destination;
    return has === undefined ? undefined : add(scope);
  };

  return {
    addSurface(surface) {
      surfaces.add(surface);
      for (const question of open) if (counts(surface, question.request)) question.ask(surface);
      return () => {
        surfaces.delete(surface);
        for (const question of open) question.drop(surface);
      };
    },

    async decide(given, decide) {
      if (closed) throw new CryptoError("ERR_CLOSED", "The broker is closed");
      decide.signal?.throwIfAborted();
      const timeoutMs = decide.timeoutMs ?? options.timeoutMs ?? 30_000;
      if (!(timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS)) {
        throw new CryptoError("ERR_INVALID_ARGUMENT", "An approval is open for 1 ms to 24 hours");
      }
      if (!SAFETIES.has(decide.safety)) {
        throw new CryptoError("ERR_INVALID_ARGUMENT", "The safety is safe, moderate or dangerous");
      }
      const action = snapshot(given);
      const isNeeded = needsApproval(await policy(), action.tool, decide.safety);
      if (!isNeeded && decide.required !== true) return { via: "policy" };
      const asked = request(action, decide, timeoutMs);
      return (
        (await byGrant(asked, action)) ?? (await byPerson(asked, action, timeoutMs, decide.signal))
      );
    },

    close() {
      closed = true;
      for (const question of open) question.cancel("the broker was closed");
      surfaces.clear();
    },
  };
};

const whyNobody = ({ dangerous }: ApprovalRequest, surfaces: ReadonlySet<Surface>): string => {
  if (surfaces.size === 0) return "there is nobody to ask";
  const names = [...surfaces].map(({ name }) => name).join(", ");
  return dangerous
    ? `it is dangerous, and there is no approver to ask (a yes by ${names} does not count here)`
    : `a yes by ${names} does not count here`;
};

const describeNo = (
  outcome: Outcome,
): { readonly via?: string; readonly by?: string; readonly reason: string } => {
  if (outcome.kind === "answer") {
    return { via: outcome.surface, by: outcome.answer.by, reason: "a person said no" };
  }
  return { reason: outcome.reason };
};

const denied = ({ tool }: ApprovalRequest, reason: string): CryptoError =>
  new CryptoError("ERR_DENIED", `${escapeText(tool)} was not approved: ${reason}`);

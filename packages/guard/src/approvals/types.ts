import type { Bytes } from "@lango/crypto-core";

/** What JSON can say. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;

/** A JSON object. */
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** How much a tool can do, as its definition says. */
export type Safety = "safe" | "moderate" | "dangerous";

/** When agents need an approval, as in `security.interceptor` of the configuration. */
export interface ApprovalPolicy {
  readonly enabled: boolean;
  readonly approvalPolicy: "dangerous" | "all" | "configured" | "none";
  readonly sensitiveTools: readonly string[];
  readonly exemptTools: readonly string[];
}

/** What is to be done: everything that the commitment covers; no secret values. */
export interface Action {
  /** The session of the agent. */
  readonly session: string;
  /** Dots and underscores are the same: `secrets.get` is `secrets_get`. */
  readonly tool: string;
  /** With references, as the agent wrote them, in the place of values. */
  readonly arguments?: JsonObject;
  /** The name of the secret that is used. */
  readonly secret?: string;
  /** Where it goes, e.g. `api.example.com:443`. */
  readonly destination?: string;
  readonly argv?: readonly string[];
  /** The absolute path of the program, symbolic links resolved. */
  readonly binary?: string;
  readonly cwd?: string;
  /** Money, e.g. `1.50 USDC`. */
  readonly amount?: string;
}

/** Who wants it done. The one that composes knows it; nothing here comes from the agent. */
export interface Requester {
  /**
   * The process that asks: the client's under `mcp serve`, the child's under `run`. Absent: not on this machine, or not
   * known, and then no terminal counts for what is dangerous.
   */
  readonly processId?: number;
  /**
   * The client or connection that asks. A surface that asks that same client does not count for what is dangerous.
   */
  readonly client?: string;
}

/** What a person is asked. */
export interface ApprovalRequest extends Action {
  /** 128 random bits in hexadecimal. */
  readonly id: string;
  /** HMAC-SHA-256, by a key of the vault, over the canonical form (JCS) of id, action and expiry. 32 bytes. */
  readonly commitment: Bytes;
  /** In ms since 1970. */
  readonly createdAt: number;
  /** In ms since 1970. The request is denied then. */
  readonly expiresAt: number;
  /** Whether only an approver may say yes: a companion, a passkey, a passphrase typed at a terminal device. */
  readonly dangerous: boolean;
  readonly requester: Requester;
  /** The whole request for a person, a line each, without control characters or others that change how text is shown. */
  readonly summary: readonly string[];
}

/**
 * How far a yes reaches. Beyond `once` it makes a grant; what has to be equal for a later action is in the README.
 */
export type Scope =
  | "once"
  | { readonly minutes: number }
  | "process-tree"
  | "command"
  | "destination";

/** What a person said. */
export interface Answer {
  readonly approved: boolean;
  /** Default: `once`. Ignored in a no. */
  readonly scope?: Scope;
  /** Who it was, for the audit: a companion's name, `terminal`. */
  readonly by: string;
  /** What proves it, e.g. the companion's signature over the commitment. Its SHA-256 goes into the audit. */
  readonly evidence?: Bytes;
}

/** A place where a person is asked. */
export interface Surface {
  /** Lower case, for reasons and the audit: `terminal`, `companion`. */
  readonly name: string;
  /**
   * Whether its yes is worth anything for this request. For a dangerous one: only if it proves an approver, and is not
   * the requester's own client or terminal.
   */
  counts(request: ApprovalRequest): boolean;
  /**
   * Asks. What it throws is no answer: the others go on.
   *
   * @param signal - Aborts as soon as the matter is decided or too late; its reason says which.
   */
  ask(request: ApprovalRequest, signal: AbortSignal): Promise<Answer>;
}

export interface DecideOptions {
  readonly safety: Safety;
  /** Asks, or looks for a grant, whatever the policy says: what needs an approval each time. Default: false. */
  readonly required?: boolean;
  readonly requester?: Requester;
  /** Default: the broker's. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** A yes. A no is an error. */
export interface Decision {
  /** `policy` (nobody needed to be asked), `grant`, or the name of the surface. */
  readonly via: string;
  /** Who said yes; absent for `policy`. */
  readonly by?: string;
  /** The grant that was used, or that this yes made. */
  readonly grantId?: string;
  /** The request that was put; absent for `policy`. */
  readonly request?: ApprovalRequest;
  readonly evidence?: Bytes;
}

/** Decides about actions, by policy, grants, and people. */
export interface Broker {
  /** Adds a surface; it is asked also what is still open. Returns what removes it. */
  addSurface(surface: Surface): () => void;
  /**
   * Returns when the action may be done, exactly as it was given.
   *
   * @throws {@link CryptoError} `ERR_DENIED` when a person said no, or nobody whose yes counts can be asked (at once);
   *   `ERR_APPROVAL_TIMEOUT` when nobody answered in time; `ERR_CLOSED` after `close`. Errors of the audit: what cannot be
   *   recorded is not approved. An abort rejects with the signal's reason.
   */
  decide(action: Action, options: DecideOptions): Promise<Decision>;
  /** Denies what is open, and everything from then on. */
  close(): void;
}

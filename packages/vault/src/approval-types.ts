import type { Bytes } from "@lango/crypto-core";
import type { JsonValue } from "@lango/envelope";
import type { AudienceOption, SecretValue } from "./secret-types.ts";
import type { AuditEvent } from "./types.ts";

/** What somebody wants to do, as far as a grant can be about it. Never a value. */
export interface GrantedAction {
  readonly session: string;
  readonly tool: string;
  readonly arguments?: { readonly [key: string]: JsonValue } | undefined;
  readonly secret?: string | undefined;
  readonly destination?: string | undefined;
  readonly argv?: readonly string[] | undefined;
  readonly binary?: string | undefined;
  readonly cwd?: string | undefined;
  readonly amount?: string | undefined;
}

/**
 * What has to be equal in a later action; absent equals absent only. Tool, secret and amount in every scope, and:
 *
 * - `minutes`: everything else, so it is the same action again.
 * - `process-tree`: destination and program, asked for by the process of the grant or one below it, in any session.
 * - `command`: session, destination, program, argv and working directory; the arguments may differ.
 * - `destination`: session, destination and program; arguments, argv and working directory may differ.
 */
export type GrantScope = "minutes" | "process-tree" | "command" | "destination";

export interface NewGrant {
  readonly scope: GrantScope;
  readonly action: GrantedAction;
  /** Leaves the session open. Only for `command` and `destination`. Default: false. */
  readonly anySession?: boolean | undefined;
  /** Identity of the process. Only for `process-tree`, and needed there. */
  readonly process?: string | undefined;
  /** Whether an approver said yes: without, the grant never holds for a dangerous action. */
  readonly dangerous: boolean;
  /** Who said yes. 1 to 256 characters. */
  readonly by: string;
  /** 1 to 43,200 (30 days). */
  readonly minutes: number;
  /** 1 and more. Default: as often as wanted. */
  readonly maxUses?: number | undefined;
}

/** A grant that holds now. Times are milliseconds since the epoch. */
export interface GrantInfo extends Omit<GrantedAction, "session" | "arguments"> {
  readonly id: string;
  readonly scope: GrantScope;
  /** Absent: any. */
  readonly session?: string | undefined;
  readonly process?: string | undefined;
  readonly dangerous: boolean;
  readonly by: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly uses: number;
  readonly maxUses?: number | undefined;
  readonly lastUsedAt?: number | undefined;
}

export interface GrantQuery {
  readonly action: GrantedAction;
  readonly dangerous: boolean;
  /** Identities of the requester's process and of those above it. */
  readonly processes?: readonly string[] | undefined;
}

/** What people permitted for more than once. Every change and every use is in the audit, in the same transaction. */
export interface Grants {
  /**
   * Stores a grant. That the person may give it is for the caller to know.
   *
   * @throws `ERR_INVALID_ARGUMENT` for a scope that the action has nothing for (a `destination` without one), and for values out of
   *   range; `ERR_CONFLICT` when the tool has 1,000 grants.
   */
  add(grant: NewGrant): Promise<GrantInfo>;
  /** Those that hold now, oldest first. @throws `ERR_INTEGRITY` when one was changed outside lango. */
  list(): Promise<GrantInfo[]>;
  /** @throws `ERR_NOT_FOUND`. */
  revoke(id: string): Promise<void>;
  /**
   * Finds a grant for an action and counts a use of it. While the clock is before the creation or the last use of a grant, that
   * grant does not hold.
   *
   * @returns The grant with this use; `undefined` when there is none.
   */
  match(query: GrantQuery): Promise<GrantInfo | undefined>;
}

/** When agents need an approval, as in `security.interceptor` of the configuration. */
export interface ApprovalPolicy {
  /** Default: true. */
  readonly enabled: boolean;
  /** Default: `dangerous`. */
  readonly approvalPolicy: "dangerous" | "all" | "configured" | "none";
  /** Default: none. */
  readonly sensitiveTools: readonly string[];
  /** Default: none. */
  readonly exemptTools: readonly string[];
}

/** To whom a secret may be given without asking, as `SecretPolicy` of `@lango/guard`. */
export interface SecretUsePolicy {
  readonly destinations: readonly string[];
  readonly commands: readonly string[];
  readonly requiresHandle: boolean;
}

/** Proof that an approver was here, for one minute in this process. Made by {@link Approvals.approver}. */
export interface Approver {
  readonly by: string;
}

export interface ApproverOption {
  /** Needed for what loosens: without, that is `ERR_DENIED`. */
  readonly approver?: Approver | undefined;
}

/** What binds agents, under a MAC. */
export interface ApprovalPolicies {
  get(): Promise<ApprovalPolicy>;
  set(policy: ApprovalPolicy, options?: ApproverOption): Promise<void>;
}

/** Where the plain form of each secret may go. */
export interface SecretDestinations {
  /** `undefined` for a secret that is not there, or that this audience may not see. */
  get(name: string, options?: AudienceOption): Promise<SecretUsePolicy | undefined>;
  /**
   * Anything but leaving out entries, or requiring handles, loosens. Whether an entry is a destination is for the caller to check.
   *
   * @throws `ERR_NOT_FOUND`; `ERR_DENIED` without an approver.
   */
  set(name: string, policy: SecretUsePolicy, options?: ApproverOption): Promise<void>;
}

/** What a handle stands for. */
export interface HandleUse {
  /** The name of the secret. */
  readonly secret: string;
  readonly session: string;
  readonly tool: string;
  /** `host:port`, or the path of a program. */
  readonly destination: string;
}

export interface NewHandle extends HandleUse, AudienceOption {
  /** Default: 1. */
  readonly uses?: number | undefined;
  /** 1 to 1,440. Default: 10. */
  readonly minutes?: number | undefined;
  /** Who approved it. Default: `policy`. */
  readonly by?: string | undefined;
}

export interface HandleInfo {
  /** 32 hexadecimal digits, for `{{secret:name#handle}}`; only its hash is kept. */
  readonly handle: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** A handle that holds, without what it takes to use it. */
export interface HeldHandle extends HandleUse {
  /** SHA-256 of the handle, 64 hexadecimal digits. */
  readonly id: string;
  readonly by: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly uses: number;
  readonly maxUses: number;
}

/**
 * Handles for values of secrets. Everything that is wrong with one (unknown, spent, too old, of another session, tool,
 * destination or secret; a secret that is not there or may not be seen) is the same `ERR_DENIED`; the audit tells which.
 */
export interface Handles {
  issue(handle: NewHandle): Promise<HandleInfo>;
  /** Those that hold, oldest first. */
  list(): Promise<HeldHandle[]>;
  /** Takes one back by its id. @throws {@link CryptoError} `ERR_NOT_FOUND`. */
  revoke(id: string): Promise<void>;
  /** Whether {@link consume} would give the value now. */
  check(handle: string, use: HandleUse & AudienceOption): Promise<boolean>;
  /** Gives the value once the use is counted and in the audit, in one transaction. */
  consume(handle: string, use: HandleUse & AudienceOption): Promise<SecretValue>;
}

/** One step of a request. */
export interface ApprovalEvent {
  readonly kind: "request" | "approve" | "deny" | "expire";
  readonly request: {
    readonly id: string;
    readonly commitment: Uint8Array;
    readonly session: string;
    readonly tool: string;
    readonly secret?: string | undefined;
    readonly destination?: string | undefined;
  };
  /** The surface. */
  readonly via?: string | undefined;
  /** The person. */
  readonly by?: string | undefined;
  readonly reason?: string | undefined;
  /** Its SHA-256 is kept. */
  readonly evidence?: Uint8Array | undefined;
}

/** The vault's side of approvals. What decides and asks is in `@lango/guard`. */
export interface Approvals {
  /** HMAC-SHA-256 over the canonical form (JCS), by a key of this vault. 32 bytes. */
  commit(request: { readonly [key: string]: JsonValue }): Bytes;
  /** Writes to the audit log; resolves when it is committed. */
  record(event: ApprovalEvent): Promise<void>;
  /** The newest requests, decisions and changes of grants, oldest first, of the last 1,000 rows of the log. Default: 20. */
  history(count?: number): Promise<AuditEvent[]>;
  /**
   * Tells an approver by a passphrase that was typed at the terminal device. That it was, is for the caller to know.
   *
   * @param passphrase - The caller zeroes it.
   * @throws `ERR_WRONG_PASSPHRASE`; `ERR_DENIED` when no passphrase opens this vault.
   */
  approver(passphrase: Uint8Array): Promise<Approver>;
  readonly grants: Grants;
  readonly policy: ApprovalPolicies;
  readonly destinations: SecretDestinations;
  readonly handles: Handles;
}

import type { CircuitState, CryptoErrorCode } from "@lango/crypto-core";
import type { Fault } from "./fault.ts";

/** What a fault means; the classes decide what may be done about it. */
export type FaultClass =
  | "throttled"
  | "unavailable"
  | "credentials"
  | "integrity"
  | "denied"
  | "key state"
  | "not found"
  | "bad ciphertext"
  | "bad argument";

/** One fault of a service and what comes of it. */
export interface FaultRow {
  readonly class: FaultClass;
  /** In the service's own words. */
  readonly name: string;
  readonly fault: Fault;
  /** The operation that it strikes. Default: `encrypt`. */
  readonly operation?: "decrypt";
  /** Deadline of the call in milliseconds, where the fault is one of time. Default: 10,000. */
  readonly timeoutMs?: number;
  readonly expected: Outcome;
}

/** What a caller and the service see of a fault. */
export interface Outcome {
  /** The error while the fault lasts. */
  readonly code: CryptoErrorCode;
  /** Requests of one call that reach the service's address while the fault lasts. */
  readonly attempts: number;
  /** What a call comes to when only its first request is struck. */
  readonly struckOnce: "ok" | CryptoErrorCode;
  /** The breaker when the fault has lasted for five calls. */
  readonly breaker: CircuitState;
  /** Whether a composite's fallback takes over. */
  readonly fallback: boolean;
}

/** Outcomes that many faults share. */
export const OUTCOMES: {
  readonly unavailable: Outcome;
  readonly timeout: Outcome;
  readonly throttled: Outcome;
  readonly final: (code: CryptoErrorCode) => Outcome;
} = {
  unavailable: {
    code: "ERR_UNAVAILABLE",
    attempts: 4,
    struckOnce: "ok",
    breaker: "open",
    fallback: true,
  },
  // The deadline is that of all attempts together, so nothing is left for a second one.
  timeout: {
    code: "ERR_TIMEOUT",
    attempts: 1,
    struckOnce: "ERR_TIMEOUT",
    breaker: "open",
    fallback: true,
  },
  throttled: {
    code: "ERR_RATE_LIMITED",
    attempts: 4,
    struckOnce: "ok",
    breaker: "closed",
    fallback: false,
  },
  final: (code) => ({ code, attempts: 1, struckOnce: code, breaker: "closed", fallback: false }),
};

/** Faults of the way to a service, whichever service it is. */
export const NETWORK_FAULTS: readonly FaultRow[] = [
  {
    class: "unavailable",
    name: "connection reset before the request arrived",
    fault: { kind: "reset", after: "nothing" },
    expected: OUTCOMES.unavailable,
  },
  {
    class: "unavailable",
    name: "connection reset after the work, the answer lost",
    fault: { kind: "reset", after: "the work" },
    expected: OUTCOMES.unavailable,
  },
  {
    class: "unavailable",
    name: "no answer",
    fault: { kind: "silence", after: "the work" },
    timeoutMs: 500,
    expected: OUTCOMES.timeout,
  },
  {
    class: "unavailable",
    name: "an answer that comes late",
    fault: { kind: "slow", ms: 3000, part: "all" },
    timeoutMs: 500,
    expected: OUTCOMES.timeout,
  },
  {
    class: "unavailable",
    name: "a body that trickles",
    fault: { kind: "slow", ms: 3000, part: "body" },
    timeoutMs: 500,
    expected: OUTCOMES.timeout,
  },
];

import type { CryptoErrorCode } from "@lango/crypto-core";

/** A fault of a companion, of the way to it or of the agent while 16 requests for signatures are always in flight. */
export interface RpcFaultRow {
  readonly name: RpcFault;
  readonly what: string;
  /** What requests may end with, besides a signature. */
  readonly codes: readonly CryptoErrorCode[];
  /** Whether calls work again when the fault is over. */
  readonly recovers: boolean;
  /** How often the key may be used for one request. */
  readonly uses: "once" | "twice when killed at it";
}

export type RpcFault =
  | "companion killed"
  | "companion stopped"
  | "connections cut"
  | "network down"
  | "agent killed"
  | "listener restarted"
  | "agent revoked";

export const RPC_FAULTS: readonly RpcFaultRow[] = [
  {
    name: "companion killed",
    what: "`kill -9` of the companion, which is started again after a second",
    codes: ["ERR_UNAVAILABLE"],
    recovers: true,
    uses: "twice when killed at it",
  },
  {
    name: "companion stopped",
    what: "SIGSTOP of the companion, SIGCONT after twice the deadline",
    codes: ["ERR_TIMEOUT"],
    recovers: true,
    uses: "once",
  },
  {
    name: "connections cut",
    what: "the connection is reset ten times between the two, which both live on",
    codes: ["ERR_UNAVAILABLE"],
    recovers: true,
    uses: "once",
  },
  {
    name: "network down",
    what: "the cable between two machines is cut, and mended after twice the deadline",
    codes: ["ERR_TIMEOUT", "ERR_UNAVAILABLE"],
    recovers: true,
    uses: "once",
  },
  {
    name: "agent killed",
    what: "`kill -9` of the agent; another one with its identity goes on",
    codes: [],
    recovers: true,
    uses: "once",
  },
  {
    name: "listener restarted",
    what: "the companion dials in; the agent's listener is closed and opened again",
    codes: ["ERR_UNAVAILABLE", "ERR_CLOSED"],
    recovers: true,
    uses: "once",
  },
  {
    name: "agent revoked",
    what: "the agent's pin is taken away at the companion",
    codes: ["ERR_ACCESS_DENIED"],
    recovers: false,
    uses: "once",
  },
];

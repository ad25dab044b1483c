import { createHmac } from "node:crypto";
import { join } from "node:path";
import { type Bytes, concat, parts, utf8 } from "@lango/crypto-core";

// Every message has one length, so there is nothing to parse:
//   agent  → client  "LNGA" ‖ version 1 ‖ nonce 32
//   client → agent   operation ‖ HMAC-SHA-256(token, parts("lango/v1/agent", operation, nonce))
//   agent  → client  1 ‖ what the operation gives; then the agent closes
// A request that does not fit is answered with nothing.

/** What an agent can be asked. */
export const OPERATIONS = { key: 1, status: 2, lock: 3 } as const;
export type Operation = keyof typeof OPERATIONS;

export const TOKEN_BYTES = 32;
export const NONCE_BYTES = 32;
export const SLOT_ID_BYTES = 12;
export const VAULT_KEY_BYTES = 32;
const MAC_BYTES = 32;

/** Longest time from connecting to the last byte, in milliseconds. */
export const EXCHANGE_MS = 2_000;

const MAGIC: Bytes = concat(utf8("LNGA"), Uint8Array.of(1));
export const HELLO_BYTES: number = MAGIC.length + NONCE_BYTES;
export const REQUEST_BYTES: number = 1 + MAC_BYTES;
/** pid u32 ‖ started, ends, ends when idle: u64 milliseconds since the epoch. */
const STATUS_BYTES = 4 + 3 * 8;

/** Length of what follows the byte 1 of a reply. */
export const REPLY_BYTES: Readonly<Record<Operation, number>> = {
  key: SLOT_ID_BYTES + VAULT_KEY_BYTES,
  status: STATUS_BYTES,
  lock: 0,
};

/** Where the agent of a home listens, and the secret that only its user can read. */
export const agentPaths = (
  home: string,
): { readonly folder: string; readonly socket: string; readonly token: string } => ({
  folder: join(home, "run"),
  socket: join(home, "run", "agent.sock"),
  token: join(home, "run", "agent.token"),
});

/** What `lango status` may know of an agent. Times are milliseconds since the epoch. */
export interface AgentStatus {
  readonly pid: number;
  readonly startedAt: number;
  /** It ends then in any case. */
  readonly endsAt: number;
  /** It ends then unless it is used before. */
  readonly idleEndsAt: number;
}

export const hello = (nonce: Uint8Array): Bytes => concat(MAGIC, nonce);

/** The nonce of a hello; `undefined` when it is none. */
export const nonceOf = (message: Uint8Array): Uint8Array | undefined =>
  message.length === HELLO_BYTES && MAGIC.every((byte, index) => message[index] === byte)
    ? message.subarray(MAGIC.length)
    : undefined;

export const request = (operation: Operation, nonce: Uint8Array, token: Uint8Array): Bytes => {
  const code = Uint8Array.of(OPERATIONS[operation]);
  const mac = createHmac("sha256", token)
    .update(parts("lango/v1/agent", code, nonce))
    .digest();
  return concat(code, mac);
};

export const encodeStatus = ({ pid, startedAt, endsAt, idleEndsAt }: AgentStatus): Bytes => {
  const bytes = new Uint8Array(STATUS_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, pid);
  [startedAt, endsAt, idleEndsAt].forEach((time, index) => {
    view.setBigUint64(4 + 8 * index, BigInt(Math.round(time)));
  });
  return bytes;
};

export const decodeStatus = (bytes: Uint8Array): AgentStatus => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const time = (index: number): number => Number(view.getBigUint64(4 + 8 * index));
  return { pid: view.getUint32(0), startedAt: time(0), endsAt: time(1), idleEndsAt: time(2) };
};

import { lstatSync } from "node:fs";
import { type Bytes, CryptoError, zero } from "@lango/crypto-core";
import { chmodHint, readSecretFile } from "../secret-file.ts";
import {
  type AgentStatus,
  agentPaths,
  decodeStatus,
  EXCHANGE_MS,
  HELLO_BYTES,
  nonceOf,
  type Operation,
  REPLY_BYTES,
  request,
  SLOT_ID_BYTES,
  TOKEN_BYTES,
} from "./protocol.ts";

/** What an agent holds. */
export interface AgentKey {
  /** 32 bytes; the caller zeroes them. */
  readonly vaultKey: Bytes;
  /** The slot with which the vault was opened for the agent, 24 hex characters. */
  readonly slotId: string;
}

/**
 * Asks the agent of a home for the vault key.
 *
 * @returns `undefined` when none runs.
 * @throws CryptoError `ERR_UNAVAILABLE` when it does not answer; `ERR_CONFIG` when others could be in its place.
 */
export async function agentKey(home: string): Promise<AgentKey | undefined> {
  const reply = await ask(home, "key");
  if (reply === undefined) return undefined;
  const slotId = Buffer.from(reply.subarray(0, SLOT_ID_BYTES)).toString("hex");
  const vaultKey = reply.slice(SLOT_ID_BYTES);
  zero(reply);
  return { vaultKey, slotId };
}

/**
 * Asks the agent of a home how it is; that is no use of it.
 *
 * @returns `undefined` when none runs.
 * @throws CryptoError as {@link agentKey}.
 */
export async function agentStatus(home: string): Promise<AgentStatus | undefined> {
  const reply = await ask(home, "status");
  return reply && decodeStatus(reply);
}

/**
 * Has the agent of a home forget its key and end.
 *
 * @returns Whether one ran; when this resolves, its key is gone.
 * @throws CryptoError as {@link agentKey}.
 */
export const lockAgent = async (home: string): Promise<boolean> =>
  (await ask(home, "lock")) !== undefined;

async function ask(home: string, operation: Operation): Promise<Bytes | undefined> {
  if (process.platform === "win32") return undefined;
  const paths = agentPaths(home);
  if (lstatSync(paths.socket, { throwIfNoEntry: false }) === undefined) return undefined;
  checkOwn(paths.folder);
  checkOwn(paths.socket);
  const files = { source: "unlock agent's", handedOver: [], platform: process.platform };
  const token = await readSecretFile(paths.token, files);
  // It writes that before it answers.
  if (token === undefined) return undefined;
  try {
    return token.length === TOKEN_BYTES
      ? await exchange(paths.socket, operation, token)
      : undefined;
  } finally {
    zero(token);
  }
}

/**
 * In a folder of this user alone nobody else can have put a socket, or can connect to one.
 *
 * @throws CryptoError `ERR_CONFIG` for what others own, or may use, and for symbolic links.
 */
export function checkOwn(path: string): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  // Gone since: whoever uses it sees that.
  if (stat === undefined) return;
  const { uid, mode } = stat;
  if (uid !== process.geteuid?.()) {
    throw new CryptoError("ERR_CONFIG", `unlock agent: ${path} belongs to user ${uid}`);
  }
  // What it leads to may be anybody's, and may be another thing in a moment.
  if (stat.isSymbolicLink()) {
    throw new CryptoError("ERR_CONFIG", `unlock agent: ${path} is a symbolic link`, {
      context: { hint: "Remove it; Lango makes the folder again" },
    });
  }
  if ((mode & 0o077) === 0) return;
  throw new CryptoError("ERR_CONFIG", `unlock agent: others may use ${path}`, {
    context: { hint: chmodHint(path, "go=") },
  });
}

function exchange(
  path: string,
  operation: Operation,
  token: Uint8Array,
): Promise<Bytes | undefined> {
  // Loaded here and not above: it costs milliseconds, and most commands have no agent.
  const { connect } = process.getBuiltinModule("node:net");
  const expected = HELLO_BYTES + 1 + REPLY_BYTES[operation];
  const read = new Uint8Array(expected);
  let length = 0;
  let isAsked = false;
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      settle();
    };
    const fail = (why: string): void =>
      end(() => {
        zero(read);
        reject(new CryptoError("ERR_UNAVAILABLE", `the unlock agent ${why}`));
      });
    const timer = setTimeout(() => fail(`did not answer within ${EXCHANGE_MS} ms`), EXCHANGE_MS);
    socket.on("data", (chunk: Uint8Array) => {
      read.set(chunk.subarray(0, expected - length), length);
      length = Math.min(expected, length + chunk.length);
      zero(chunk);
      if (!isAsked && length >= HELLO_BYTES) {
        const nonce = nonceOf(read.subarray(0, HELLO_BYTES));
        if (nonce === undefined) return fail("is not one of this version");
        isAsked = true;
        socket.write(request(operation, nonce, token));
      }
      if (length < expected) return;
      const reply = read.slice(HELLO_BYTES + 1);
      const isFine = read[HELLO_BYTES] === 1;
      if (!isFine) return fail("refused");
      end(() => {
        zero(read);
        resolve(reply);
      });
    });
    socket.on("end", () => fail("closed the connection"));
    socket.on("error", ({ code }: NodeJS.ErrnoException) => {
      // A socket that an agent left behind which was killed.
      if (code === "ECONNREFUSED" || code === "ENOENT") end(() => resolve(undefined));
      else fail(`cannot be reached (${code})`);
    });
  });
}

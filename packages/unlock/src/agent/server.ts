import { chmodSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { uptime } from "node:os";
import {
  type Bytes,
  bytesEqual,
  concat,
  fromHex,
  randomBytesFresh,
  zero,
} from "@lango/crypto-core";
import { type AgentKey, checkOwn } from "./client.ts";
import {
  type AgentStatus,
  agentPaths,
  EXCHANGE_MS,
  encodeStatus,
  hello,
  NONCE_BYTES,
  OPERATIONS,
  type Operation,
  REQUEST_BYTES,
  request,
  TOKEN_BYTES,
} from "./protocol.ts";
import { claim, identityOf } from "./socket.ts";

/** Connections at a time; one more is closed unanswered. */
const MAX_CONNECTIONS = 256;
const WATCH_MS = 500;

/** Why an agent ended. */
export type AgentEnd = "locked" | "idle" | "expired" | "gone" | "stopped";

export interface AgentOptions extends AgentKey {
  /** The folder of the vault; `run` in it, mode 0700, must be there. */
  readonly home: string;
  /** Milliseconds without use after which it ends. */
  readonly idleMs: number;
  /** Milliseconds after which it ends in any case. */
  readonly limitMs: number;
}

/** An agent that listens. */
export interface Agent {
  readonly status: AgentStatus;
  /** Resolves when the key is zeroed and nobody can connect any more. */
  readonly ended: Promise<AgentEnd>;
  stop(): void;
}

/**
 * Holds a vault key behind a socket until it is locked, was idle too long, its time is over, or its socket is gone.
 *
 * @param options - `vaultKey` is owned from here on: this very memory is zeroed in the end, also when this throws.
 * @throws CryptoError `ERR_CONFLICT` when the home has an agent; `ERR_CONFIG` when its socket cannot be made.
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { home, vaultKey, slotId, idleMs, limitMs } = options;
  const paths = agentPaths(home);
  const token = randomBytesFresh(TOKEN_BYTES);
  const sockets = new Set<Socket>();
  const startedAt = Date.now();
  const startTick = uptimeMs();
  let usedAt = startedAt;
  let usedTick = startTick;
  const { promise: ended, resolve: markEnded } = Promise.withResolvers<AgentEnd>();
  let isOver = false;

  const status = (): AgentStatus => ({
    pid: process.pid,
    startedAt,
    endsAt: startedAt + limitMs,
    idleEndsAt: Math.min(usedAt + idleMs, startedAt + limitMs),
  });

  const answer = (operation: Operation, socket: Socket): Bytes => {
    switch (operation) {
      case "key":
        usedAt = Date.now();
        usedTick = uptimeMs();
        return concat(Uint8Array.of(1), fromHex(slotId) ?? new Uint8Array(), vaultKey);
      case "status":
        return concat(Uint8Array.of(1), encodeStatus(status()));
      case "lock":
        // Before the answer: who has that can start another agent.
        finish("locked", socket);
        return Uint8Array.of(1);
    }
  };

  const serve = (socket: Socket): void => {
    if (isOver || sockets.size >= MAX_CONNECTIONS) return void socket.destroy();
    sockets.add(socket);
    const timer = setTimeout(() => socket.destroy(), EXCHANGE_MS);
    const nonce = randomBytesFresh(NONCE_BYTES);
    const read = new Uint8Array(REQUEST_BYTES);
    let length = 0;
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      sockets.delete(socket);
    });
    socket.on("data", (chunk: Uint8Array) => {
      if (length + chunk.length > REQUEST_BYTES) return void socket.destroy();
      read.set(chunk, length);
      length += chunk.length;
      if (length < REQUEST_BYTES) return;
      // A machine that wakes up may serve a client before the watch looks at the clock.
      endIfOverdue();
      const operation = isOver ? undefined : operationOf(read, nonce, token);
      if (operation === undefined) return void socket.destroy();
      const reply = answer(operation, socket);
      socket.end(reply, () => zero(reply));
    });
    socket.write(hello(nonce));
  };

  const server = createServer(serve);
  let identity = "";
  let watch: NodeJS.Timeout | undefined;
  const forget = (): void => {
    isOver = true;
    zero(vaultKey, token);
  };
  /** @param last - Still to be answered. */
  const finish = (why: AgentEnd, last?: Socket): void => {
    if (isOver) return;
    forget();
    clearInterval(watch);
    for (const socket of sockets) if (socket !== last) socket.destroy();
    if (identityOf(paths.socket) !== identity) {
      // What is there belongs to another agent, and closing would remove it.
      server.unref();
      markEnded(why);
    } else {
      rmSync(paths.token, { force: true });
      // Removes the socket at once, and is done when the last connection is.
      server.close(() => markEnded(why));
    }
  };

  const overdue = (): AgentEnd | undefined => {
    // Two clocks: one can be set back, the other stands still while a virtual machine does.
    const since = (time: number, tick: number): number =>
      Math.max(Date.now() - time, uptimeMs() - tick);
    if (identityOf(paths.socket) !== identity) return "gone";
    if (since(startedAt, startTick) >= limitMs) return "expired";
    return since(usedAt, usedTick) >= idleMs ? "idle" : undefined;
  };

  const endIfOverdue = (): void => {
    const why = isOver ? undefined : overdue();
    if (why !== undefined) finish(why);
  };

  try {
    // Nobody else gets into the folder, so that it does not matter what the socket's mode is for a moment.
    checkOwn(paths.folder);
    identity = await claim(server, paths.socket);
    chmodSync(paths.socket, 0o600);
    writeToken(paths.token, token);
  } catch (error) {
    forget();
    server.close();
    throw error;
  }
  watch = setInterval(endIfOverdue, WATCH_MS);
  return { status: status(), ended, stop: () => finish("stopped") };
}

/** A clock that nobody sets, and that goes on while the machine sleeps, which `performance.now` does not. */
const uptimeMs = (): number => uptime() * 1000;

/** What a request asks for, if its sender has read the token. */
function operationOf(
  read: Uint8Array,
  nonce: Uint8Array,
  token: Uint8Array,
): Operation | undefined {
  const names = Object.keys(OPERATIONS) as Operation[];
  const operation = names.find((name) => OPERATIONS[name] === read[0]);
  return operation !== undefined && bytesEqual(read, request(operation, nonce, token))
    ? operation
    : undefined;
}

function writeToken(path: string, token: Uint8Array): void {
  const temporary = `${path}.${process.pid}`;
  // One that was killed may have had the same number.
  rmSync(temporary, { force: true });
  writeFileSync(temporary, token, { mode: 0o600, flag: "wx" });
  renameSync(temporary, path);
}

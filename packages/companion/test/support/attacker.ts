import { once } from "node:events";
import type { Socket } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { type Bytes, toBase64 } from "@lango/crypto-core";
import { WebSocket } from "ws";
import { bindingOf, tlsOptionsOf } from "../../src/channel/trust.ts";
import type { Identity } from "../../src/pairing/identity.ts";
import type { Role } from "../../src/peers.ts";
import { newRequestId } from "../../src/protocol/frame.ts";
import { makeHello, VERSIONS } from "../../src/protocol/hello.ts";

const HOST = "127.0.0.1";

/** Everything that comes on a connection until it is closed, and how that was. */
export const readToEnd = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    let read = "";
    let error = "";
    socket.on("data", (data) => {
      read += data;
    });
    socket.on("error", (cause: NodeJS.ErrnoException) => {
      error = cause.code ?? cause.message;
    });
    socket.on("close", () => resolve(read || error.replace("ECONNRESET", "") || "closed"));
  });

/** TLS as an attacker likes it, and what comes of it before a request. */
export const attackTls = (port: number, options: ConnectionOptions): Promise<string> => {
  const socket = connect({ host: HOST, port, rejectUnauthorized: false, ...options });
  socket.on("secureConnect", () => socket.write(UPGRADE));
  return readToEnd(socket);
};

const UPGRADE = [
  "GET /companion HTTP/1.1",
  "Host: companion",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
  `Sec-WebSocket-Protocol: ${VERSIONS[0]}`,
  "",
  "",
].join("\r\n");

/** A connection that passed TLS with a key. */
export const connectAs = async (port: number, identity: Identity): Promise<TLSSocket> => {
  const socket = connect({ host: HOST, port, ...tlsOptionsOf(identity) });
  await once(socket, "secureConnect");
  return socket;
};

export interface UpgradeOptions {
  readonly path?: string;
  readonly protocols?: readonly string[];
}

export interface RawChannel {
  readonly ws: WebSocket;
  readonly binding: Bytes;
  /** The text messages that have not been taken, the first one first; waits for one. */
  next(): Promise<Record<string, unknown>>;
  /** Sends a frame with the number that is due, or whatever text. */
  send(frame: object | string): void;
  sendHello(role: Role, identity: Identity, binding?: Bytes): void;
  /** How it was closed. */
  readonly closed: Promise<string>;
}

/** An upgraded connection on which nothing was said; rejects with the answer when the upgrade is refused. */
export const upgradeAs = async (
  port: number,
  identity: Identity,
  { path = "/companion", protocols = VERSIONS }: UpgradeOptions = {},
): Promise<RawChannel> => {
  const connection = await connectAs(port, identity);
  const ws = new WebSocket(`ws://companion${path}`, [...protocols], {
    createConnection: () => connection,
    perMessageDeflate: false,
  });
  return rawChannel(ws, connection);
};

export const rawChannel = async (ws: WebSocket, connection: TLSSocket): Promise<RawChannel> => {
  const messages: string[] = [];
  let wake = (): void => {};
  let seq = 0;
  const closed = new Promise<string>((resolve) => {
    ws.on("close", (code, reason) => {
      resolve([code, String(reason)].join(" ").trim());
      wake();
    });
  });
  ws.on("message", (data) => {
    messages.push(String(data));
    wake();
  });
  ws.on("error", () => {});
  if (ws.readyState === WebSocket.CONNECTING) {
    await new Promise<void>((resolve, reject) => {
      ws.once("open", resolve);
      ws.once("error", reject);
      ws.once("unexpected-response", (_request, response) => {
        let body = `HTTP ${response.statusCode} `;
        response.on("data", (data) => {
          body += data;
        });
        response.on("end", () => reject(new Error(body.trim())));
      });
    });
  }
  const send = (frame: object | string): void => {
    if (typeof frame === "string") ws.send(frame);
    else ws.send(JSON.stringify({ jsonrpc: "2.0", seq: seq++, ...frame }));
  };
  const binding = bindingOf(connection);
  return {
    ws,
    binding,
    closed,
    send,
    async next() {
      while (messages.length === 0) {
        if (ws.readyState === WebSocket.CLOSED) throw new Error("closed");
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return JSON.parse(messages.shift() ?? "");
    },
    sendHello(role, identity, of = binding) {
      const params = makeHello(VERSIONS[0] ?? "", role, of, identity.privateKey);
      send({ method: "hello", params });
    },
  };
};

/** A channel whose hellos went well: what a paired device may do that turned bad. */
export const joinAs = async (port: number, identity: Identity, role: Role): Promise<RawChannel> => {
  const channel = await upgradeAs(port, identity);
  channel.sendHello(role, identity);
  await channel.next();
  return channel;
};

/** A request to sign, whole but for its number. */
export const signRequest = (id: string = newRequestId()): Record<string, unknown> => ({
  id,
  method: "sign",
  params: { keyId: "key", message: toBase64(new Uint8Array(32)) },
  ttl: 30_000,
});

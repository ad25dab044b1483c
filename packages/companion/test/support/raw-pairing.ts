import { once } from "node:events";
import { connect } from "node:tls";
import { toPlain } from "@lango/crypto-core";
import { WebSocket } from "ws";
import { checkCertificate, tlsOptionsOf } from "../../src/channel/trust.ts";
import type { Identity } from "../../src/pairing/identity.ts";

export type Json = Readonly<Record<string, unknown>>;

/** Someone who speaks the bytes of pairing and none of its rules. */
export interface RawJoiner {
  readonly exporter: Uint8Array;
  readonly fingerprint: string;
  send(message: Json | string | Uint8Array): void;
  /** The next message; `undefined` when the connection has ended. */
  next(): Promise<Json | undefined>;
  drop(): void;
}

/** What comes on a socket, one by one. */
export const reader = (socket: WebSocket): (() => Promise<Json | undefined>) => {
  const unread: (Json | undefined)[] = [];
  let wake = (): void => undefined;
  const push = (message: Json | undefined): void => {
    unread.push(message);
    wake();
  };
  socket.on("message", (data) => push(JSON.parse(String(data)) as Json));
  socket.on("close", () => push(undefined));
  socket.on("error", () => undefined);
  return async () => {
    while (unread.length === 0)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    return unread[0] === undefined ? undefined : unread.shift();
  };
};

export const rawJoiner = async (port: number, identity: Identity): Promise<RawJoiner> => {
  const connection = connect({ ...tlsOptionsOf(identity), host: "127.0.0.1", port });
  connection.on("error", () => undefined);
  await once(connection, "secureConnect");
  const { fingerprint } = checkCertificate(connection, Date.now());
  const exporter = toPlain(
    connection.exportKeyingMaterial(32, "EXPORTER-lango-pairing-v1", Buffer.alloc(0)),
  );
  const socket = new WebSocket("ws://companion/companion/pair", {
    createConnection: () => connection,
  });
  const next = reader(socket);
  await once(socket, "open");
  return {
    exporter,
    fingerprint,
    next,
    send: (message) =>
      socket.send(
        typeof message === "string" || message instanceof Uint8Array
          ? message
          : JSON.stringify(message),
      ),
    drop: () => connection.destroy(),
  };
};

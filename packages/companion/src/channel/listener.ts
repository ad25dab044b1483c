import { once } from "node:events";
import { createServer as createHttpServer, type IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createServer as createTlsServer, TLSSocket } from "node:tls";
import { CryptoError } from "@lango/crypto-core";
import { type WebSocket, WebSocketServer } from "ws";
import type { Peer } from "../peers.ts";
import { MAX_FRAME_BYTES } from "../protocol/frame.ts";
import { VERSIONS } from "../protocol/hello.ts";
import { CHANNEL_PATH, PAIRING_PATH } from "./connect.ts";
import { createReporter } from "./events.ts";
import { limitsOf } from "./limits.ts";
import type { ChannelListener, ListenerOptions, PairingHandler } from "./options.ts";
import { refuseUpgrade } from "./refusal.ts";
import { CLOSE, type Session, startSession } from "./session.ts";
import { checkCertificate, findPeer, otherRole, type PeerKey, tlsOptionsOf } from "./trust.ts";

const MAX_HANDSHAKES = 64;
const MAX_CHANNELS = 32;
/** A person may have several programs of one agent running. */
const MAX_CHANNELS_OF_ONE = 8;
const MAX_HEADER_BYTES = 8192;

/**
 * Makes a listener; nothing listens before `listen` is called or `handleUpgrade` is mounted.
 *
 * Mounted, the server around it owns the connections before the upgrade: its limits of connections and time hold there.
 */
export const createChannelListener = (options: ListenerOptions): ChannelListener => {
  const { role, peers, clock = Date.now, compatibility = false, onChannel } = options;
  const { maxHandshakes = MAX_HANDSHAKES, maxChannels = MAX_CHANNELS } = options;
  const { maxChannelsOfOne = MAX_CHANNELS_OF_ONE } = options;
  const limits = limitsOf(options.limits);
  // Half of the time for TLS, half for the upgrade and the hello.
  const phaseMs = Math.ceil(limits.handshakeMs / 2);
  const tlsOptions = { ...tlsOptionsOf(options.identity), handshakeTimeout: phaseMs };
  const report = createReporter(options.onEvent);
  /** In the order in which they came. */
  const sessions = new Set<Session>();
  /** Connections between TLS and the checked hello, each with the timer that ends it. */
  const opening = new Map<TLSSocket, NodeJS.Timeout>();
  let pairing: PairingHandler | undefined;
  let isClosed = false;

  const refuse = (connection: TLSSocket, reason: unknown): void => {
    report.refused(reason, connection.remoteAddress);
    connection.destroy();
  };

  /** Starts the clock of a connection that passed TLS. */
  const open = (connection: TLSSocket): void => {
    if (opening.has(connection)) return;
    const late = new CryptoError("ERR_TIMEOUT", `No hello within ${phaseMs} ms after TLS`);
    const timer = setTimeout(() => {
      opened(connection);
      refuse(connection, late);
    }, phaseMs);
    opening.set(connection, timer);
    connection.on("error", () => {});
    connection.once("close", () => opened(connection));
  };

  const opened = (connection: TLSSocket): void => {
    clearTimeout(opening.get(connection));
    opening.delete(connection);
  };

  /** Who may go on: a paired device; and, while a pairing is open, whoever has a certificate. */
  const admit = async (connection: TLSSocket): Promise<Admitted> => {
    const peerKey = checkCertificate(connection, clock());
    try {
      const peer = await findPeer(peers, peerKey.fingerprint, { role: otherRole(role) });
      return { peerKey, peer };
    } catch (error) {
      if (pairing === undefined) throw error;
      return { peerKey };
    }
  };

  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
    autoPong: false,
    handleProtocols: (offered) => VERSIONS.find((version) => offered.has(version)) ?? false,
  });

  const upgrade = async (
    request: IncomingMessage,
    connection: TLSSocket,
    head: Buffer,
  ): Promise<void> => {
    const { peerKey, peer } = await admit(connection);
    if (isClosed || connection.destroyed) return connection.destroySoon();
    const accept = (then: (ws: WebSocket) => void): void =>
      webSockets.handleUpgrade(request, connection, head, then);
    const [path] = (request.url ?? "").split("?");
    if (path === PAIRING_PATH && pairing !== undefined) {
      const handler = pairing;
      return accept((ws) => {
        opened(connection);
        handler(ws, connection);
      });
    }
    if (peer === undefined) {
      throw new CryptoError("ERR_ACCESS_DENIED", "The other side is not paired, or was revoked");
    }
    if (path !== CHANNEL_PATH) return refuseUpgrade(connection, "not-found");
    const isOld = compatibility && request.headers["sec-websocket-protocol"] === undefined;
    if (!isOld && !offers(request)) return refuseUpgrade(connection, "version");
    if (isFull(peer)) return refuseUpgrade(connection, "full");
    accept((ws) => {
      const version = isOld ? undefined : ws.protocol;
      const session = startSession({
        ws,
        connection,
        peer,
        peerKey,
        version,
        limits,
        channel: options,
      });
      session.ready.then(
        () => admitSession(session, connection),
        (reason: unknown) => {
          // Closed by the session; who only went away was not refused.
          if (opening.has(connection)) report.refused(reason, connection.remoteAddress);
          opened(connection);
        },
      );
    });
  };

  const sessionsOf = ({ id }: Peer): Session[] =>
    [...sessions].filter(({ peer }) => peer.id === id);

  /** Of a device that has one, the oldest gives way. */
  const isFull = (peer: Peer): boolean =>
    sessions.size >= maxChannels && sessionsOf(peer).length === 0;

  const admitSession = (session: Session, connection: TLSSocket): void => {
    opened(connection);
    const { peer } = session;
    if (isFull(peer)) {
      const reason = new CryptoError("ERR_RATE_LIMITED", `${maxChannels} channels are open`);
      report.refused(reason, connection.remoteAddress);
      session.end(CLOSE.later, reason);
      return;
    }
    const own = sessionsOf(peer);
    if (own.length >= maxChannelsOfOne || sessions.size >= maxChannels) {
      own[0]?.end(
        CLOSE.replaced,
        new CryptoError("ERR_UNAVAILABLE", "A newer connection of the same device replaced this"),
      );
    }
    sessions.add(session);
    report.connected(session);
    void session.closed.then(() => sessions.delete(session));
    onChannel?.(session);
  };

  const handleUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (!(socket instanceof TLSSocket)) {
      socket.destroy();
      return;
    }
    if (isClosed || (!opening.has(socket) && opening.size >= maxHandshakes)) {
      refuse(socket, new CryptoError("ERR_RATE_LIMITED", "Too many handshakes at a time"));
      return;
    }
    open(socket);
    upgrade(request, socket, head).catch((error: unknown) => refuse(socket, error));
  };

  const http = createHttpServer({ maxHeaderSize: MAX_HEADER_BYTES }, (_request, response) => {
    response.writeHead(426, { connection: "close" }).end();
  });
  http.on("upgrade", handleUpgrade);

  const server = createTlsServer(tlsOptions, (connection) => {
    open(connection);
    admit(connection).then(
      // Only now is anything read.
      () => http.emit("connection", connection),
      (error: unknown) => refuse(connection, error),
    );
  });
  // More are dropped when they are accepted, before TLS costs anything.
  server.maxConnections = maxHandshakes + maxChannels;
  server.on("drop", (data) => {
    report.refused(
      new CryptoError("ERR_RATE_LIMITED", "Too many connections"),
      data?.remoteAddress,
    );
  });
  const accepted = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    accepted.add(socket);
    socket.once("close", () => accepted.delete(socket));
  });
  server.on("tlsClientError", (error, connection) => refuse(connection, error));

  return {
    tlsOptions,
    handleUpgrade,
    get channels() {
      return [...sessions];
    },
    setPairing(handler) {
      pairing = handler;
    },
    async listen({ host = "127.0.0.1", port = 0 } = {}) {
      try {
        server.listen({ host, port });
        await once(server, "listening");
      } catch (cause) {
        const message = `Cannot listen on ${host} port ${port}`;
        throw new CryptoError("ERR_UNAVAILABLE", message, { cause });
      }
      return { host, port: (server.address() as AddressInfo).port };
    },
    async close() {
      isClosed = true;
      pairing = undefined;
      const gone = server.listening ? once(server, "close") : undefined;
      server.close();
      for (const connection of opening.keys()) connection.destroy();
      await Promise.all([...sessions].map((session) => session.close()));
      // In TLS still, or pairing.
      for (const socket of accepted) socket.destroy();
      await gone;
    },
  };
};

interface Admitted {
  readonly peerKey: PeerKey;
  /** `undefined`: a stranger, for whom a pairing is open. */
  readonly peer?: Peer;
}

const offers = (request: IncomingMessage): boolean => {
  const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",");
  return offered.some((name) => VERSIONS.includes(name.trim()));
};

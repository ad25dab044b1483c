import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { TLSSocket, TlsOptions } from "node:tls";
import type { WebSocket } from "ws";
import type { Identity } from "../pairing/identity.ts";
import type { Peer, Peers, Role } from "../peers.ts";
import type { Channel, RequestHandler } from "./types.ts";

/** What a channel bears; every one has a default. */
export interface ChannelLimits {
  /** Milliseconds from the connection to the checked hello of the other side, TLS and upgrade included. Default: 10,000. */
  readonly handshakeMs: number;
  /** Milliseconds between two pings. Default: 15,000. */
  readonly pingMs: number;
  /** Milliseconds without a pong after which the connection is dead. Default: 10,000. */
  readonly pongMs: number;
  /** Milliseconds between two heartbeats while a person is asked. Default: 5,000. */
  readonly heartbeatMs: number;
  /** Milliseconds without a heartbeat, while a person is asked, after which a request fails. Default: 15,000. */
  readonly heartbeatLossMs: number;
  /** Milliseconds between two looks at the pin of a connected device. Default: 250. */
  readonly pinMs: number;
  /** Requests in flight on one channel; one more is `ERR_RATE_LIMITED`. Default: 1,024. */
  readonly requests: number;
  /** Bytes that may wait to be written before reading stops. Default: 4 MiB. */
  readonly bufferedBytes: number;
}

/** What happened, without a value of any request. */
export type ChannelEvent =
  | { readonly type: "connected"; readonly peer: Peer }
  | { readonly type: "closed"; readonly peer: Peer; readonly reason: string }
  /** Nothing of the other side was taken: the reason, and where it came from. */
  | { readonly type: "refused"; readonly reason: string; readonly address?: string | undefined };

/** What both sides of a connection need. */
export interface ChannelOptions {
  /** The own role; the other side must have the other one. The agent asks, the companion answers. */
  readonly role: Role;
  readonly identity: Identity;
  readonly peers: Peers;
  /** What answers; needed by the companion, not used by the agent. */
  readonly handler?: RequestHandler | undefined;
  /** Also the event names of the old protocol; see docs/companion-protocol.md. Default: false. */
  readonly compatibility?: boolean | undefined;
  readonly limits?: Partial<ChannelLimits> | undefined;
  /** Milliseconds since the epoch, for the validity of certificates. Default: `Date.now`. */
  readonly clock?: (() => number) | undefined;
  /** For logs and status pages. What it throws is ignored. */
  readonly onEvent?: ((event: ChannelEvent) => void) | undefined;
}

export interface ConnectOptions extends ChannelOptions {
  /** `https://` or `wss://`, with host and port; the path is `/companion`, whatever the URL says. */
  readonly url: string;
  /** The device that is meant. Default: any paired one of the other role. */
  readonly peerId?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Takes a connection at `/companion/pair`: TLS 1.3 with a valid P-256 certificate that may be of anyone. */
export type PairingHandler = (socket: WebSocket, connection: TLSSocket) => void;

export interface ListenerOptions extends ChannelOptions {
  /** Called with every channel, when it may be used. */
  readonly onChannel?: ((channel: Channel) => void) | undefined;
  /** Connections that are not yet channels; one more is refused. Default: 64. */
  readonly maxHandshakes?: number | undefined;
  /** Channels of one device; with one more the oldest of them is closed. Default: 8. */
  readonly maxChannelsOfOne?: number | undefined;
  /** Channels at a time; one more device is refused. Default: 32. */
  readonly maxChannels?: number | undefined;
}

/** Takes connections of paired devices, by its own server or mounted in another one. */
export interface ChannelListener {
  /** Starts its own server. Default: a free port of 127.0.0.1. @throws CryptoError `ERR_UNAVAILABLE` when the port is not to be had. */
  listen(options?: {
    readonly host?: string;
    readonly port?: number;
  }): Promise<{ readonly host: string; readonly port: number }>;
  /** For `https.createServer` of the server that mounts the listener: TLS 1.3, certificates asked for, no tickets. */
  readonly tlsOptions: TlsOptions;
  /** For the `upgrade` event of the server that mounts the listener. Answers with 404 to paths that are not its own. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** The open channels. */
  readonly channels: readonly Channel[];
  /** Opens `/companion/pair` with a handler, or closes it with `undefined`. While it is closed, strangers get nothing at all. */
  setPairing(handler: PairingHandler | undefined): void;
  /** Closes the server and every connection; resolves when all are gone. May be called again. */
  close(): Promise<void>;
}

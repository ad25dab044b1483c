import { once } from "node:events";
import { isIP } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { CryptoError } from "@lango/crypto-core";
import { WebSocket } from "ws";
import { MAX_FRAME_BYTES } from "../protocol/frame.ts";
import { VERSIONS } from "../protocol/hello.ts";
import { createReporter } from "./events.ts";
import { limitsOf } from "./limits.ts";
import type { ConnectOptions } from "./options.ts";
import { refusalOf } from "./refusal.ts";
import { startSession } from "./session.ts";
import { checkCertificate, findPeer, otherRole, tlsOptionsOf } from "./trust.ts";
import type { Channel } from "./types.ts";

/** Where channels are taken. */
export const CHANNEL_PATH = "/companion";
/** Where pairings are, while one is open. */
export const PAIRING_PATH = "/companion/pair";

/**
 * Dials a paired device: TLS 1.3 with both certificates, the pin checked before anything is sent, then the hellos.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for `ws://` and `http://`; `ERR_UNAVAILABLE` when nobody answers there;
 *   `ERR_ACCESS_DENIED` for a certificate that is missing, not valid now, not pinned, suspended or of another device;
 *   `ERR_UNSUPPORTED` when no version of the protocol is common; `ERR_RATE_LIMITED` when the other side has as many channels as it
 *   takes; `ERR_TIMEOUT`. An abort rejects with its reason.
 */
export const connectChannel = async (options: ConnectOptions): Promise<Channel> => {
  const { signal } = options;
  const report = createReporter(options.onEvent);
  const address = parseUrl(options.url);
  signal?.throwIfAborted();
  const limits = limitsOf(options.limits);
  const connection = connect({
    ...tlsOptionsOf(options.identity),
    ...address,
    // RFC 6066 §3: no addresses.
    servername: isIP(address.host) === 0 ? address.host : "",
  });
  // An error that comes when nobody waits any more.
  connection.on("error", () => {});
  const stop = Promise.withResolvers<never>();
  stop.promise.catch(() => {});
  const onAbort = (): void => stop.reject(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(
    () => stop.reject(timedOut(address, limits.handshakeMs)),
    limits.handshakeMs,
  );
  try {
    const channel = await Promise.race([dial(options, connection, address), stop.promise]);
    report.connected(channel);
    return channel;
  } catch (error) {
    connection.destroy();
    report.refused(error, address.host);
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
};

interface Address {
  readonly host: string;
  readonly port: number;
}

const parseUrl = (text: string): Address => {
  const url = URL.parse(text);
  if (url?.protocol !== "https:" && url?.protocol !== "wss:") {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      "The URL of a companion starts with https:// or wss://",
      { context: { hint: "A companion is never reached without TLS" } },
    );
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  return { host, port: Number(url.port || 443) };
};

const dial = async (
  options: ConnectOptions,
  connection: TLSSocket,
  address: Address,
): Promise<Channel> => {
  const { role, peers, peerId, clock = Date.now, compatibility = false } = options;
  await once(connection, "secureConnect").catch((cause: unknown) => {
    throw unreachable(address, cause);
  });
  const peerKey = checkCertificate(connection, clock());
  const expected = { role: otherRole(role), id: peerId };
  const peer = await findPeer(peers, peerKey.fingerprint, expected);
  // An error that came meanwhile would not be told again.
  if (connection.destroyed) throw closedEarly(connection.errored);
  const ws = new WebSocket(`ws://companion${CHANNEL_PATH}`, compatibility ? [] : [...VERSIONS], {
    createConnection: () => connection,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
    autoPong: false,
    followRedirects: false,
  });
  const session = await new Promise<ReturnType<typeof startSession>>((resolve, reject) => {
    // In the tick of the upgrade, so that no message is missed.
    ws.once("open", () => {
      const version = ws.protocol || undefined;
      const limits = limitsOf(options.limits);
      const channel = options;
      resolve(startSession({ ws, connection, peer, peerKey, version, limits, channel }));
    });
    ws.once("unexpected-response", (_request, response) => {
      void refusalOf(response).then(reject);
    });
    ws.once("error", (cause) => reject(closedEarly(cause)));
  });
  await session.ready;
  return session;
};

const unreachable = ({ host, port }: Address, cause: unknown): CryptoError => {
  const { code } = cause as NodeJS.ErrnoException;
  const message = `No companion answers at ${host} port ${port} (${code ?? "closed"})`;
  return new CryptoError("ERR_UNAVAILABLE", message, { cause });
};

const closedEarly = (cause: unknown): CryptoError =>
  new CryptoError("ERR_UNAVAILABLE", "The other side closed the connection after TLS", {
    context: { hint: "Check that this device is paired there, and not revoked" },
    cause,
  });

const timedOut = ({ host, port }: Address, ms: number): CryptoError =>
  new CryptoError("ERR_TIMEOUT", `No channel with ${host} port ${port} within ${ms} ms`);

import { createPublicKey, type KeyObject } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { CryptoError, isCryptoError, toBase64, toPlain } from "@lango/crypto-core";
import type { WebSocket } from "ws";
import type { Peer } from "../peers.ts";
import { type Codec, createCodec, type Frame } from "../protocol/frame.ts";
import { checkHello, makeHello } from "../protocol/hello.ts";
import { fault } from "../protocol/json.ts";
import { createSeedAgentCodec, createSeedCompanionCodec } from "../protocol/seed-codec.ts";
import { createAnswerer } from "./answerer.ts";
import { createCaller } from "./caller.ts";
import { createInbox } from "./inbox.ts";
import { answerPings, watchLiveness } from "./liveness.ts";
import type { ChannelLimits, ChannelOptions } from "./options.ts";
import { bindingOf, findPeer, otherRole, type PeerKey } from "./trust.ts";
import type { Channel } from "./types.ts";

/** Codes of WebSocket's close frame (RFC 6455 §7.4.1), and one of our own. */
export const CLOSE = {
  normal: 1000,
  protocol: 1002,
  policy: 1008,
  internal: 1011,
  later: 1013,
  replaced: 4001,
};
/** How long a close frame may take; then the connection is cut. */
const CLOSE_TIMEOUT_MS = 1000;
/** RFC 6455 §5.5: 125 bytes with the code. */
const MAX_REASON = 123;

export interface SessionOptions {
  readonly ws: WebSocket;
  readonly connection: TLSSocket;
  readonly peer: Peer;
  readonly peerKey: PeerKey;
  /** The subprotocol that the upgrade agreed on; `undefined` in compatibility mode. */
  readonly version: string | undefined;
  readonly limits: ChannelLimits;
  readonly channel: ChannelOptions;
}

export interface Session extends Channel {
  /** Resolves when the hello of the other side is checked. */
  readonly ready: Promise<void>;
  /** Closes with a code of {@link CLOSE}; what is in flight ends with the error. */
  end(code: number, error: CryptoError): void;
}

/** Runs the protocol on an upgraded connection whose key is known. It must be called in the tick of the upgrade. */
export const startSession = (options: SessionOptions): Session => {
  const { ws, connection, peer, peerKey, version, limits, channel } = options;
  const { role } = channel;
  const binding = bindingOf(connection);
  const codec = version === undefined ? seedCodec(channel, peerKey) : createCodec();
  const ready = Promise.withResolvers<void>();
  // It is also told by `closed`.
  ready.promise.catch(() => {});
  const closed = Promise.withResolvers<string>();
  let isReady = false;
  let isCorked = false;
  let ended: CryptoError | undefined;
  let cut: NodeJS.Timeout | undefined;

  const end = (code: number, error: CryptoError): void => {
    if (ended) return;
    ended = error;
    stopWatching();
    ready.reject(error);
    caller.end(error);
    answerer?.end(error);
    // Faults quote nothing, so that who writes the other side may read them.
    ws.close(code, code === CLOSE.protocol ? error.message.slice(0, MAX_REASON) : "");
    cut = setTimeout(() => ws.terminate(), CLOSE_TIMEOUT_MS);
  };

  /** What is sent in one tick goes out as one TLS record. */
  const cork = (): void => {
    if (isCorked) return;
    isCorked = true;
    connection.cork();
    process.nextTick(() => {
      isCorked = false;
      connection.uncork();
    });
  };

  const send = (frame: Frame): void => {
    if (ended) return;
    const text = codec.format(frame);
    if (text === undefined) return;
    cork();
    ws.send(text);
    // Whoever does not read what it asked for is not read either. The agent goes on: what it reads are answers, which are bounded
    // by its requests, and were both to stop, neither would start again.
    if (role === "companion" && ws.bufferedAmount > limits.bufferedBytes) ws.pause();
  };

  const checkPin = async (): Promise<void> => {
    try {
      await findPeer(channel.peers, peerKey.fingerprint, { role: peer.role, id: peer.id });
    } catch (error) {
      const reason = isCryptoError(error)
        ? error
        : new CryptoError("ERR_UNAVAILABLE", "The pins could not be read", { cause: error });
      // Where the pins cannot be read, as in a vault that was locked, nobody was revoked: who is told so would pair again.
      end(reason.code === "ERR_ACCESS_DENIED" ? CLOSE.policy : CLOSE.internal, reason);
    }
    if (ended) throw ended;
  };

  const isFull = (): boolean => ws.bufferedAmount > limits.bufferedBytes;
  const caller = createCaller({ limits, checkPin, send, isFull });
  const { handler } = channel;
  const answerer =
    role === "companion" && handler !== undefined
      ? createAnswerer({ peer, binding, limits, handler, checkPin, send })
      : undefined;
  answerPings(ws);
  const stopWatching = watchLiveness({ ws, limits, checkPin, end });

  const become = (): void => {
    isReady = true;
    ready.resolve();
  };

  const take = (frame: Frame): void => {
    if (frame.kind === "hello") {
      if (isReady) throw fault("a second hello");
      if (version !== undefined) {
        const expected = { version, role: otherRole(role), binding, publicKey: peerKey.publicKey };
        checkHello(frame.hello, expected);
      }
      become();
      return;
    }
    if (!isReady) throw fault("its first frame is no hello");
    if (frame.kind === "request" || frame.kind === "cancel") {
      if (answerer === undefined) throw fault("a request to the agent");
      if (frame.kind === "request") answerer.onRequest(frame);
      else answerer.onCancel(frame.id);
      return;
    }
    if (role === "companion") throw fault("an answer to the companion");
    if (frame.kind === "result") caller.onResult(frame.id, frame.result);
    else if (frame.kind === "failure") caller.onFailure(frame.id, frame.error);
    else caller.onWaiting(frame.id);
  };

  const read = (text: string): void => {
    if (ended) return;
    try {
      const { frame, reply } = codec.parse(text);
      if (reply !== undefined) {
        if (isFull()) throw fault("it does not read what acknowledges its calls");
        ws.send(reply);
      }
      if (frame) take(frame);
    } catch (error) {
      end(CLOSE.protocol, error as CryptoError);
    }
  };
  /** Reads on, unless what was read still waits, or a companion's answers do; an agent is not stopped by what it did not send yet. */
  const resume = (): void => {
    if (!inbox.isFull() && (role === "agent" || !isFull())) ws.resume();
  };
  const inbox = createInbox(ws, read, resume);
  ws.on("message", (data, isBinary) => {
    if (isBinary) end(CLOSE.protocol, fault("a binary message"));
    else inbox.add(String(data));
  });
  // What ws itself refuses: too large, no UTF-8, not masked.
  ws.on("error", () => end(CLOSE.protocol, fault("a message that WebSocket does not take")));
  ws.on("close", (code) => {
    inbox.flush();
    end(CLOSE.normal, goneBecause(code));
    clearTimeout(cut);
    closed.resolve(ended?.message ?? "");
  });
  connection.on("drain", resume);

  const hello = makeHello(version ?? "", role, binding, channel.identity.privateKey);
  send({ kind: "hello", hello });
  // In the old protocol the companion alone introduces itself.
  if (version === undefined && role === "companion") become();

  return {
    peer,
    publicKey: toPlain(peerKey.publicKey.export({ type: "spki", format: "der" })),
    binding,
    ready: ready.promise,
    end,
    call: caller.call,
    closed: closed.promise,
    async close() {
      end(CLOSE.normal, new CryptoError("ERR_CLOSED", "The channel was closed"));
      await closed.promise;
    },
  };
};

const seedCodec = ({ role, identity }: ChannelOptions, { publicKey }: PeerKey): Codec => {
  const keys = { own: spkiOf(createPublicKey(identity.privateKey)), other: spkiOf(publicKey) };
  return role === "agent" ? createSeedAgentCodec(keys) : createSeedCompanionCodec(keys);
};

const spkiOf = (publicKey: KeyObject): string =>
  toBase64(publicKey.export({ type: "spki", format: "der" }));

const goneBecause = (code: number): CryptoError => {
  if (code === CLOSE.policy) {
    const hint = "Pair the devices again: this one is not paired there, or was revoked";
    const message = "The other side does not take this device any more";
    return new CryptoError("ERR_ACCESS_DENIED", message, { context: { hint } });
  }
  if (code === CLOSE.later) {
    return new CryptoError("ERR_RATE_LIMITED", "The other side has as many channels as it takes");
  }
  const why = code === CLOSE.replaced ? "another connection of this device replaced it" : code;
  return new CryptoError("ERR_UNAVAILABLE", `The connection is gone (${why})`);
};

import { once } from "node:events";
import { isIP } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { type Bytes, bytesEqual, CryptoError, zero } from "@lango/crypto-core";
import { WebSocket } from "ws";
import { PAIRING_PATH } from "../channel/connect.ts";
import { tlsOptionsOf } from "../channel/trust.ts";
import { checkFingerprint, type PairingAddress, parsePairingAddress } from "./address.ts";
import { parseCode } from "./code.ts";
import { compareDigits } from "./compare.ts";
import { type Conversation, createConversation, refusalError, STEP_MS } from "./conversation.ts";
import { type FarEnd, farEndOf } from "./far-end.ts";
import type { Identity } from "./identity.ts";
import { MAX_MESSAGE_BYTES, PAIRING_VERSION } from "./messages.ts";
import { cleanName } from "./names.ts";
import { codeProof, commitTo, newNonce, type Transcript } from "./proofs.ts";
import type { JoinPairingOptions, PairedPeer } from "./types.ts";

/** The person at the host may still be looking. */
const HOST_DECIDES_MS = 120_000;

/**
 * Pairs with a device that has a pairing open.
 *
 * @returns The device, once both sides keep the pin of the other.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT`; `ERR_ACCESS_DENIED` for a wrong code, another device than the fingerprint
 *   says, or no open pairing; `ERR_DENIED` when a person said no; `ERR_CONFLICT` for another mode or the same role;
 *   `ERR_UNSUPPORTED` for another version; `ERR_UNAVAILABLE`, `ERR_TIMEOUT`; what `store` rejected with.
 */
export const joinPairing = async (options: JoinPairingOptions): Promise<PairedPeer> => {
  const { identity, signal, clock = Date.now } = options;
  const target = targetOf(options);
  let connection: TLSSocket | undefined;
  try {
    signal?.throwIfAborted();
    connection = await dial(target, identity, signal);
    const end = farEndOf(connection, clock());
    if (target.fingerprint !== undefined && end.fingerprint !== target.fingerprint)
      throw stranger();
    const conversation = await upgrade(connection, signal);
    const onAbort = (): void => {
      conversation.refuse("refused");
      conversation.abort(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await converse(options, target.code, conversation, end);
    } finally {
      signal?.removeEventListener("abort", onAbort);
      conversation.close();
    }
  } catch (error) {
    connection?.destroy();
    throw error;
  } finally {
    zero(target.code);
  }
};

const targetOf = ({ url, code, fingerprint, confirm }: JoinPairingOptions): PairingAddress => {
  const address = parsePairingAddress(url);
  if (address.code && (code ?? fingerprint) !== undefined) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", "The address brings its code and fingerprint");
  }
  if (fingerprint !== undefined) checkFingerprint(fingerprint);
  const secret = code === undefined ? address.code : parseCode(code);
  if (!secret && !confirm) {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      "Pairing needs a code, or someone to compare digits",
    );
  }
  return { ...address, code: secret, fingerprint: fingerprint ?? address.fingerprint };
};

const dial = async (
  { host, port }: PairingAddress,
  identity: Identity,
  signal: AbortSignal | undefined,
): Promise<TLSSocket> => {
  // RFC 6066 §3: a name of a server is no address.
  const servername = isIP(host) === 0 ? host : "";
  const socket = connect({ ...tlsOptionsOf(identity), host, port, servername });
  try {
    await once(socket, "secureConnect", { signal: within(STEP_MS, signal) });
    return socket;
  } catch (cause) {
    socket.destroy();
    throw unreachable(cause, signal);
  }
};

const upgrade = async (
  connection: TLSSocket,
  signal: AbortSignal | undefined,
): Promise<Conversation> => {
  // TLS is there already: to `ws` this is a plain connection.
  const socket = new WebSocket(`ws://companion${PAIRING_PATH}`, {
    createConnection: () => connection,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    followRedirects: false,
  });
  // Before it is open: the first message may come with the answer.
  const conversation = createConversation(socket);
  const refused = new Promise<never>((_, reject) => {
    socket.once("unexpected-response", () => reject(closed()));
  });
  try {
    await Promise.race([once(socket, "open", { signal: within(STEP_MS, signal) }), refused]);
    return conversation;
  } catch (cause) {
    socket.terminate();
    throw unreachable(cause, signal);
  }
};

const converse = async (
  { identity, role, name: given, store, confirm }: JoinPairingOptions,
  code: Bytes | undefined,
  conversation: Conversation,
  end: FarEnd,
): Promise<PairedPeer> => {
  const name = cleanName(given);
  const mode = code ? "code" : "compare";
  const own = { role, name, fingerprint: identity.fingerprint };
  const nonce = newNonce();
  const commitment =
    mode === "compare"
      ? { commitment: commitTo("joiner", nonce, end.exporter, own.fingerprint) }
      : {};
  conversation.send({ type: "hello", version: PAIRING_VERSION, mode, role, name, ...commitment });
  const hello = await conversation.receive("hello");
  if (hello.version !== PAIRING_VERSION) throw refusalError("version");
  if (hello.mode !== mode) throw refusalError("mode");
  if (hello.role === role) throw refusalError("role");
  const host = { role: hello.role, name: hello.name, fingerprint: end.fingerprint };
  const { id, commitment: theirs } = hello;
  if (id === undefined || (mode === "compare" && theirs === undefined))
    throw refusalError("version");
  const transcript: Transcript = { mode, id, exporter: end.exporter, host, joiner: own };
  if (code) await proveCode(conversation, code, transcript);
  else if (theirs && confirm) {
    await compareDigits({
      ...{ conversation, side: "joiner", transcript, nonce, commitment: theirs, confirm },
    });
  }
  conversation.send({ type: "ready" });
  await conversation.receive("stored", code ? STEP_MS : HOST_DECIDES_MS);
  const { certificate, fingerprint } = end;
  const peer = { id, name: cleanName(host.name), role: host.role, fingerprint, certificate };
  try {
    await store(peer);
  } catch (error) {
    conversation.refuse("failed");
    throw error;
  }
  conversation.send({ type: "done" });
  return peer;
};

/** This side first: whoever asks for a proof without knowing the code gets one that is good for this connection alone. */
const proveCode = async (
  conversation: Conversation,
  code: Bytes,
  transcript: Transcript,
): Promise<void> => {
  conversation.send({ type: "proof", proof: codeProof(code, "joiner", transcript) });
  const { proof } = await conversation.receive("proof");
  if (bytesEqual(codeProof(code, "host", transcript), proof)) return;
  conversation.refuse("refused");
  throw new CryptoError("ERR_ACCESS_DENIED", "The other device does not know the code", {
    context: { hint: "Someone may be in between: try another network" },
  });
};

const within = (timeoutMs: number, signal: AbortSignal | undefined): AbortSignal =>
  AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(signal ? [signal] : [])]);

const unreachable = (cause: unknown, signal: AbortSignal | undefined): unknown => {
  if (signal?.aborted) return signal.reason;
  if (cause instanceof CryptoError) return cause;
  if ((cause as Error).name === "AbortError") {
    return new CryptoError("ERR_TIMEOUT", "The other device does not answer", { cause });
  }
  const reason = (cause as NodeJS.ErrnoException).code ?? "no TLS 1.3 with certificates";
  return new CryptoError("ERR_UNAVAILABLE", `The other device cannot be reached: ${reason}`, {
    cause,
  });
};

const stranger = (): CryptoError =>
  new CryptoError("ERR_ACCESS_DENIED", "Another device answers than the one whose code it is", {
    context: { hint: "Someone may be in between: try another network" },
  });

const closed = (): CryptoError =>
  new CryptoError("ERR_ACCESS_DENIED", "The other device has no pairing open", {
    context: { hint: "Start the pairing there first: lango companion pair" },
  });

import { once } from "node:events";
import { isIP } from "node:net";
import { connect } from "node:tls";
import { type Bytes, bytesEqual, CryptoError, zero } from "@lango/crypto-core";
import { WebSocket } from "ws";
import { PAIRING_PATH } from "../channel/connect.ts";
import { tlsOptionsOf } from "../channel/trust.ts";
import { checkFingerprint, type PairingAddress, parsePairingAddress } from "./address.ts";
import { parseCode } from "./code.ts";
import { compareDigits } from "./compare.ts";
import { type Conversation, createConversation, refusalError, STEP_MS } from "./conversation.ts";
import { type FarEnd, farEndOf } from "./far-end.ts";
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
  const target = targetOf(options);
  try {
    options.signal?.throwIfAborted();
    const { conversation, end } = await open(options, target);
    const onAbort = (): void => {
      conversation.refuse("declined");
      conversation.abort(options.signal?.reason);
    };
    options.signal?.addEventListener("abort", onAbort, { once: true });
    if (options.signal?.aborted) onAbort();
    try {
      return await converse(options, target.code, conversation, end);
    } finally {
      options.signal?.removeEventListener("abort", onAbort);
      conversation.close();
    }
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

interface Opened {
  readonly conversation: Conversation;
  readonly end: FarEnd;
}

/** TLS, a look at who is there, and only then the first byte. */
const open = async (
  { identity, signal, stepMs = STEP_MS, clock = Date.now }: JoinPairingOptions,
  { host, port, fingerprint }: PairingAddress,
): Promise<Opened> => {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(silent()), stepMs);
  const limit = { signal: AbortSignal.any([late.signal, ...(signal ? [signal] : [])]) };
  // RFC 6066 §3: a name of a server is no address.
  const servername = isIP(host) === 0 ? host : "";
  const connection = connect({ ...tlsOptionsOf(identity), host, port, servername });
  // One that comes when nobody waits any more.
  connection.on("error", () => undefined);
  try {
    await once(connection, "secureConnect", limit).catch((cause: unknown) => {
      throw unreachable(cause);
    });
    const end = farEndOf(connection, clock());
    if (fingerprint !== undefined && end.fingerprint !== fingerprint) throw stranger();
    if (end.fingerprint === identity.fingerprint) throw oneself();
    // TLS is there already: to `ws` this is a plain connection.
    const socket = new WebSocket(`ws://companion${PAIRING_PATH}`, {
      createConnection: () => connection,
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_BYTES,
      autoPong: false,
      followRedirects: false,
    });
    // Before it is open: the first message may come with the answer.
    const conversation = createConversation(socket, stepMs);
    await once(socket, "open", limit).catch((cause: unknown) => {
      throw notOpen(cause);
    });
    return { conversation, end };
  } catch (error) {
    connection.destroy();
    throw limit.signal.aborted ? limit.signal.reason : error;
  } finally {
    clearTimeout(timer);
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

const silent = (): CryptoError =>
  new CryptoError("ERR_TIMEOUT", "The other device does not answer", {
    context: { hint: "Check its address, and that its pairing is open" },
  });

const unreachable = (cause: unknown): CryptoError => {
  const reason = (cause as NodeJS.ErrnoException).code ?? "closed";
  const message = `The other device cannot be reached: ${reason}`;
  return new CryptoError("ERR_UNAVAILABLE", message, { cause });
};

/** A listener without an open pairing hangs up on strangers. */
const notOpen = (cause: unknown): CryptoError =>
  new CryptoError("ERR_ACCESS_DENIED", "The other device has no pairing open", {
    cause,
    context: { hint: "Start the pairing there first: lango companion pair" },
  });

const oneself = (): CryptoError =>
  new CryptoError("ERR_CONFLICT", "The device there has the key of this one", {
    context: { hint: "Give each role on a machine a folder of its own" },
  });

const stranger = (): CryptoError =>
  new CryptoError("ERR_ACCESS_DENIED", "Another device answers than the one whose code it is", {
    context: { hint: "Someone may be in between: try another network" },
  });

import { randomBytes } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { type Bytes, bytesEqual, CryptoError, zero } from "@lango/crypto-core";
import { formatPairingUri } from "./address.ts";
import { formatCode, newCode } from "./code.ts";
import { compareDigits } from "./compare.ts";
import { type Conversation, createConversation } from "./conversation.ts";
import { type FarEnd, farEndOf } from "./far-end.ts";
import { type Hello, PAIRING_VERSION, type RefusalReason } from "./messages.ts";
import { cleanName } from "./names.ts";
import { codeProof, commitTo, newNonce, type Transcript } from "./proofs.ts";
import type { PairedPeer, PairingHost, PairingHostOptions } from "./types.ts";

const VALID_MS = 120_000;
const MAX_TRIES = 3;
/** Connections that have proved nothing yet. */
const MAX_CANDIDATES = 8;

/** A connection whose other side was heard. */
interface Candidate {
  readonly conversation: Conversation;
  readonly end: FarEnd;
  readonly transcript: Transcript;
}

/**
 * Opens a pairing, to be joined by one device with `joinPairing`: hand `accept` to `setPairing` of a listener, and take it away
 * when `done` settles. Only one device wins; a code is good for 3 tries.
 */
export const createPairingHost = (options: PairingHostOptions): PairingHost => {
  const {
    identity,
    role,
    mode,
    store,
    address,
    validMs = VALID_MS,
    signal,
    clock = Date.now,
  } = options;
  const name = cleanName(options.name);
  const id = randomBytes(16).toString("base64url");
  const code = mode.kind === "code" ? newCode() : undefined;
  const uri =
    code && address && formatPairingUri({ ...address, code, fingerprint: identity.fingerprint });
  const endsAt = clock() + validMs;
  const candidates = new Set<Conversation>();
  let tries = MAX_TRIES;
  let winner: Conversation | undefined;
  /** From here on only the two devices can end it: what is on the disk must not be called cancelled. */
  let storing = false;
  let over = false;
  const { promise: done, resolve, reject } = Promise.withResolvers<PairedPeer>();
  // Whoever asks later is told; until then it is no unhandled rejection.
  done.catch(() => undefined);

  const end = (settle: () => void): void => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
    zero(code);
    settle();
    for (const conversation of candidates) conversation.refuse("refused");
  };
  const fail = (error: unknown): void => {
    end(() => {
      winner?.refuse("refused");
      winner?.abort(error);
      reject(error);
    });
  };
  const interrupt = (error: unknown): void => {
    if (!storing) fail(error);
  };
  const onAbort = (): void => interrupt(signal?.reason);
  const timer = setTimeout(() => interrupt(expired()), validMs);
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();

  /** Hears who is there. `undefined`: it was refused. */
  const greet = async (
    conversation: Conversation,
    far: FarEnd,
    nonce: Bytes,
  ): Promise<(Candidate & { hello: Hello }) | undefined> => {
    const own = { role, name, fingerprint: identity.fingerprint };
    const commitment =
      mode.kind === "compare"
        ? { commitment: commitTo("host", nonce, far.exporter, own.fingerprint) }
        : {};
    const opening = { version: PAIRING_VERSION, mode: mode.kind, role, name, id, ...commitment };
    conversation.send({ type: "hello", ...opening });
    const hello = await conversation.receive("hello");
    const unfit = far.fingerprint === own.fingerprint ? "refused" : misfit(hello);
    if (unfit) {
      conversation.refuse(unfit);
      return undefined;
    }
    const joiner = { role: hello.role, name: hello.name, fingerprint: far.fingerprint };
    const transcript = { mode: mode.kind, id, exporter: far.exporter, host: own, joiner };
    return { conversation, end: far, transcript, hello };
  };

  const misfit = (hello: Hello): RefusalReason | undefined => {
    if (hello.version !== PAIRING_VERSION) return "version";
    if (hello.mode !== mode.kind) return "mode";
    return hello.role === role ? "role" : undefined;
  };

  /** Whether the joiner knows the code; if so it is the one, and is shown that this side knows it too. */
  const checkCode = async (
    { conversation, transcript }: Candidate,
    secret: Bytes,
  ): Promise<boolean> => {
    const { proof } = await conversation.receive("proof");
    // Looked at together with what follows: of two right proofs at once one wins, and no fourth try gets in.
    if (over || winner || clock() > endsAt) return false;
    if (!bytesEqual(codeProof(secret, "joiner", transcript), proof)) {
      tries -= 1;
      if (tries === 0) fail(tooMany());
      return false;
    }
    winner = conversation;
    conversation.send({ type: "proof", proof: codeProof(secret, "host", transcript) });
    return true;
  };

  const keep = async ({ conversation, end: far, transcript }: Candidate): Promise<void> => {
    // In mode `compare` the person at the other device may still be looking.
    await conversation.receive("ready", mode.kind === "compare" ? validMs : undefined);
    if (over) return;
    storing = true;
    const { certificate, fingerprint } = far;
    const { role: theirs, name: called } = transcript.joiner;
    const peer = { id, name: cleanName(called), role: theirs, fingerprint, certificate };
    try {
      await store(peer);
    } catch (error) {
      conversation.refuse("failed");
      throw error;
    }
    conversation.send({ type: "stored" });
    await conversation.receive("done").catch((cause) => {
      throw halfway(cause);
    });
    candidates.delete(conversation);
    conversation.close();
    end(() => resolve(peer));
  };

  const serve = async (conversation: Conversation, connection: TLSSocket): Promise<void> => {
    const nonce = newNonce();
    const candidate = await greet(conversation, farEndOf(connection, clock()), nonce);
    if (!candidate) return;
    if (mode.kind === "code") {
      if (!code || !(await checkCode(candidate, code))) return conversation.refuse("refused");
    } else {
      const { commitment } = candidate.hello;
      // One try: a second one would double the chance of who guesses.
      if (over || winner || !commitment || clock() > endsAt) return conversation.refuse("refused");
      winner = conversation;
      const { confirm } = mode;
      await compareDigits({ ...candidate, side: "host", nonce, commitment, confirm });
    }
    await keep(candidate);
  };

  return {
    code: code && formatCode(code),
    uri,
    done,
    async qr() {
      if (!uri)
        throw new CryptoError("ERR_INVALID_ARGUMENT", "A pairing without a URI has no QR code");
      const { renderUnicodeCompact } = await import("uqr");
      return renderUnicodeCompact(uri);
    },
    accept(socket, connection) {
      const conversation = createConversation(socket, options.stepMs);
      if (over || candidates.size >= MAX_CANDIDATES) return conversation.refuse("refused");
      candidates.add(conversation);
      serve(conversation, connection)
        .catch((error: unknown) => {
          if (winner === conversation) fail(error);
          else conversation.refuse("refused");
        })
        .finally(() => candidates.delete(conversation));
    },
    cancel: () => interrupt(new CryptoError("ERR_CLOSED", "The pairing was cancelled")),
  };
};

const expired = (): CryptoError =>
  new CryptoError("ERR_TIMEOUT", "Nobody was paired in time", {
    context: { hint: "Start a new pairing: it has a new code" },
  });

const tooMany = (): CryptoError =>
  new CryptoError("ERR_ACCESS_DENIED", `The pairing ended after ${MAX_TRIES} wrong codes`, {
    context: { hint: "Start a new pairing: it has a new code" },
  });

const halfway = (cause: unknown): CryptoError =>
  new CryptoError("ERR_UNAVAILABLE", "The other device may not have kept the pairing", {
    cause,
    context: { hint: "Pair it again, which replaces what is kept here, or revoke it" },
  });

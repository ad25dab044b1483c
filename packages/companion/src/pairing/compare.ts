import { type Bytes, CryptoError, raceSignal } from "@lango/crypto-core";
import type { Conversation } from "./conversation.ts";
import { cleanName } from "./names.ts";
import { digitsOf, opensCommitment, type Side, type Transcript } from "./proofs.ts";
import type { ConfirmDigits } from "./types.ts";

export interface CompareOptions {
  readonly conversation: Conversation;
  /** The own side. */
  readonly side: Side;
  readonly transcript: Transcript;
  /** The own nonce; the other side has its commitment. */
  readonly nonce: Bytes;
  /** What the other side committed to. */
  readonly commitment: Bytes;
  readonly confirm: ConfirmDigits;
}

/**
 * Both sides show their nonces, now that both are committed, and the person compares the digits.
 *
 * @throws {@link CryptoError} `ERR_DENIED` when they differ, or the other side shows another nonce than it committed to.
 */
export const compareDigits = async (options: CompareOptions): Promise<void> => {
  const { conversation, side, transcript, nonce, commitment, confirm } = options;
  const other = side === "host" ? "joiner" : "host";
  const { name, fingerprint } = transcript[other];
  conversation.send({ type: "reveal", nonce });
  const { nonce: theirs } = await conversation.receive("reveal");
  if (!opensCommitment(commitment, other, theirs, transcript.exporter, fingerprint)) {
    conversation.refuse("refused");
    throw new CryptoError("ERR_DENIED", "The other device shows another nonce than it promised");
  }
  const nonces =
    side === "host" ? { host: nonce, joiner: theirs } : { host: theirs, joiner: nonce };
  const digits = digitsOf(nonces, transcript);
  const { gone: signal } = conversation;
  const about = { peerName: cleanName(name), signal };
  if (await raceSignal(signal, () => confirm(digits, about))) return;
  conversation.refuse("declined");
  throw new CryptoError("ERR_DENIED", "The digits were not confirmed", {
    context: { hint: "If they differed, someone is in between: try another network" },
  });
};

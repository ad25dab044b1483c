import { createHash, createHmac, randomBytes } from "node:crypto";
import { type Bytes, bytesEqual, concat, parts, toPlain } from "@lango/crypto-core";
import type { Role } from "../peers.ts";

/** Who shows the code, or was called; and who called. */
export type Side = "host" | "joiner";

/** One device of a pairing. */
export interface Party {
  readonly role: Role;
  /** As it said it, to the letter. */
  readonly name: string;
  /** Base64url. */
  readonly fingerprint: string;
}

/** All that both sides must agree on. Any difference, as with a man in the middle, gives other proofs and other digits. */
export interface Transcript {
  readonly mode: "code" | "compare";
  readonly id: string;
  /** The exporter of the TLS connection (RFC 8446 §7.5), 32 bytes: nothing said here is good on another connection. */
  readonly exporter: Bytes;
  readonly host: Party;
  readonly joiner: Party;
}

const encodeParty = ({ role, name, fingerprint }: Party): Bytes =>
  parts(role, name, Buffer.from(fingerprint, "base64url"));

const encode = ({ mode, id, exporter, host, joiner }: Transcript): Bytes =>
  parts(mode, id, exporter, encodeParty(host), encodeParty(joiner));

/**
 * What shows that a side knows the code: HMAC-SHA-256(code, parts(label of the side, transcript)), 32 bytes. The labels differ, so
 * that a proof cannot be sent back. Whoever sees one cannot find the code by trying: it has 128 bits.
 */
export const codeProof = (code: Uint8Array, side: Side, transcript: Transcript): Bytes =>
  toPlain(
    createHmac("sha256", code)
      .update(parts(`lango/v1/pair/${side}`, encode(transcript)))
      .digest(),
  );

export const newNonce = (): Bytes => toPlain(randomBytes(32));

/**
 * Binds a side to its nonce before it knows the other's: SHA-256(parts(label, side, exporter, own fingerprint, nonce)), 32 bytes.
 */
export const commitTo = (
  side: Side,
  nonce: Uint8Array,
  exporter: Uint8Array,
  fingerprint: string,
): Bytes =>
  toPlain(
    createHash("sha256")
      .update(
        parts(
          "lango/v1/pair/commitment",
          side,
          exporter,
          Buffer.from(fingerprint, "base64url"),
          nonce,
        ),
      )
      .digest(),
  );

/** Whether a revealed nonce is the one that was committed to. */
export const opensCommitment = (
  commitment: Uint8Array,
  ...committed: Parameters<typeof commitTo>
): boolean => bytesEqual(commitTo(...committed), commitment);

/**
 * Six digits for two people to compare: HMAC-SHA-256(host's nonce ‖ joiner's nonce, parts(label, transcript)), its first 8 bytes
 * as a number, modulo 10^6.
 *
 * A truncated hash of the keys alone could be forced: a man in the middle makes keys until his hash with each of the two is the
 * same six digits, a million tries, some seconds of work before anybody looks. The same goes for nonces that he may choose after
 * he has seen ours. So each side commits to a random nonce first, and shows it when it has the other's commitment: who is in the
 * middle has then fixed his two nonces before he can compute either string of digits, and is right once in a million pairings.
 */
export const digitsOf = (
  nonces: Readonly<Record<Side, Uint8Array>>,
  transcript: Transcript,
): string => {
  const mac = createHmac("sha256", concat(nonces.host, nonces.joiner))
    .update(parts("lango/v1/pair/digits", encode(transcript)))
    .digest();
  return String(mac.readBigUInt64BE() % 1_000_000n).padStart(6, "0");
};

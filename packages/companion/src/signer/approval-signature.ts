import { createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { type Bytes, parts, toBase64Url, toPlain } from "@lango/crypto-core";
import { sha256 } from "./hash.ts";

/** What the companion signs when a person answered `approval.request`. */
export interface ApprovalStatement {
  /** The id of the request, as it was on the wire. */
  readonly id: string;
  /** {@link Channel.binding} of the connection that it was asked over, 32 bytes. */
  readonly binding: Uint8Array;
  /** 32 bytes over the whole action. */
  readonly commitment: Uint8Array;
  /** What the person read. */
  readonly summary: readonly string[];
  readonly dangerous: boolean;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  readonly approved: boolean;
  /** Milliseconds since the epoch, by the companion's clock. */
  readonly decidedAt: number;
}

/**
 * The bytes that are signed: parts(`lango/v1/approval`, binding, commitment, parts of the lines of the summary, `dangerous` or
 * `normal`, `yes` or `no`, decidedAt and expiresAt in decimal, id). Nothing of it can be exchanged, so a yes is worth nothing
 * for another request, connection, time or text.
 */
export const approvalBytes = (statement: ApprovalStatement): Bytes =>
  parts(
    "lango/v1/approval",
    statement.binding,
    statement.commitment,
    parts(...statement.summary),
    statement.dangerous ? "dangerous" : "normal",
    statement.approved ? "yes" : "no",
    String(statement.decidedAt),
    String(statement.expiresAt),
    statement.id,
  );

/**
 * Signs a person's answer.
 *
 * @param key - The P-256 key of the companion's certificate.
 * @returns ECDSA with SHA-256, r‖s, 64 bytes.
 */
export const signApproval = (key: KeyObject, statement: ApprovalStatement): Bytes =>
  toPlain(sign("sha256", approvalBytes(statement), { key, dsaEncoding: "ieee-p1363" }));

/** Whose signature it should be: the pin, and the key that belongs to it. */
export interface ApprovalSigner {
  /** {@link Peer.fingerprint}. */
  readonly fingerprint: string;
  /** DER SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
}

/** Whether the companion of that pin gave exactly this answer. A key that does not fit the pin: `false`. */
export const verifyApproval = (
  { fingerprint, publicKey }: ApprovalSigner,
  statement: ApprovalStatement,
  signature: Uint8Array,
): boolean => {
  if (toBase64Url(sha256(publicKey)) !== fingerprint) return false;
  const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
  return verify("sha256", approvalBytes(statement), { key, dsaEncoding: "ieee-p1363" }, signature);
};

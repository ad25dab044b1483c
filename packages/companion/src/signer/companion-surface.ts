import {
  type Bytes,
  CryptoError,
  randomBytesFresh,
  toBase64,
  toBase64Url,
  utf8,
} from "@lango/crypto-core";
import type { Channel } from "../channel/types.ts";
import { type ApprovalStatement, verifyApproval } from "./approval-signature.ts";

/** What of an approval request a companion has to know; `ApprovalRequest` of `@lango/guard` fits. */
export interface SurfaceRequest {
  readonly commitment: Bytes;
  readonly summary: readonly string[];
  readonly dangerous: boolean;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** What a person said; `Answer` of `@lango/guard`. */
export interface SurfaceAnswer {
  readonly approved: boolean;
  /** Never further than this one request: what a companion signs is one action. */
  readonly scope: "once";
  /** Name of the device. */
  readonly by: string;
  readonly evidence: Bytes;
}

/** A place where a person is asked; `Surface` of `@lango/guard`. */
export interface CompanionSurface {
  readonly name: string;
  counts(request: SurfaceRequest): boolean;
  ask(request: SurfaceRequest, signal: AbortSignal): Promise<SurfaceAnswer>;
}

export interface CompanionSurfaceOptions {
  /** The companion that is connected now, if one is. */
  readonly channel: () => Channel | undefined;
  /** Default: `companion`. */
  readonly name?: string | undefined;
  /** Milliseconds since the epoch. Default: `Date.now`. */
  readonly clock?: (() => number) | undefined;
}

/** The longest that a channel waits for a person. */
const MAX_WAIT_MS = 600_000;
/** As the schema of `approval.request` has it. */
const MAX_LINES = 32;
const MAX_CHARACTERS = 1000;

/**
 * Asks a paired companion for approvals. Its yes counts for dangerous actions too, because it is signed by the device's own key
 * over the commitment and all that the person read; it counts only while a companion is connected, so that nobody waits for one
 * that is away.
 *
 * The evidence is JSON: what was signed, the signature, and the device's pin and key: all that {@link verifyApproval} takes; bytes are base64.
 *
 * @returns A surface whose `ask` rejects with `ERR_UNAVAILABLE` when no companion is connected or the connection is lost; with
 *   `ERR_INVALID_ARGUMENT` for a summary that does not fit, which nobody could have read; with `ERR_INTEGRITY` for an answer whose
 *   signature does not hold; with `ERR_APPROVAL_TIMEOUT` for one that comes too late.
 */
export const createCompanionSurface = ({
  channel: connected,
  name = "companion",
  clock = Date.now,
}: CompanionSurfaceOptions): CompanionSurface => ({
  name,
  counts: () => connected() !== undefined,
  ask: async ({ commitment, summary, dangerous, expiresAt }, signal) => {
    const channel = connected();
    if (channel === undefined) {
      throw new CryptoError("ERR_UNAVAILABLE", "No companion is connected", {
        context: { hint: "Open the companion on the other device" },
      });
    }
    if (summary.length > MAX_LINES || summary.some((line) => line.length > MAX_CHARACTERS)) {
      throw new CryptoError("ERR_INVALID_ARGUMENT", "The summary is too long for a companion");
    }
    const left = expiresAt - clock();
    if (left <= 0) throw tooLate();
    const id = toBase64Url(randomBytesFresh(16));
    const params = { commitment, summary, dangerous, expiresAt };
    const { approved, decidedAt, signature } = await channel.call("approval.request", params, {
      id,
      signal,
      approvalTimeoutMs: Math.min(left, MAX_WAIT_MS),
    });
    const { peer, publicKey, binding } = channel;
    const statement = { ...params, id, binding, approved, decidedAt };
    if (!verifyApproval({ fingerprint: peer.fingerprint, publicKey }, statement, signature)) {
      throw new CryptoError("ERR_INTEGRITY", `The answer of ${peer.name} is not signed by its key`);
    }
    // By our own clock: that of the other device may be wrong.
    if (clock() >= expiresAt) throw tooLate();
    const evidence = encodeEvidence(statement, { publicKey, signature, peer: peer.fingerprint });
    return { approved, scope: "once", by: peer.name, evidence };
  },
});

interface Signed {
  readonly peer: string;
  readonly publicKey: Bytes;
  readonly signature: Bytes;
}

const encodeEvidence = (
  { binding, commitment, ...statement }: ApprovalStatement,
  { publicKey, signature, peer }: Signed,
): Bytes =>
  utf8(
    JSON.stringify({
      ...statement,
      commitment: toBase64(commitment),
      binding: toBase64(binding),
      peer,
      publicKey: toBase64(publicKey),
      signature: toBase64(signature),
    }),
  );

const tooLate = (): CryptoError =>
  new CryptoError("ERR_APPROVAL_TIMEOUT", "The approval expired before the companion answered");

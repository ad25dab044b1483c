import { sign, verify, X509Certificate } from "node:crypto";
import { type Bytes, CryptoError, parts, toPlain } from "@lango/crypto-core";
import type { IncomingRequest, RequestHandler } from "../channel/types.ts";
import type { Peers } from "../peers.ts";
import type { Params } from "../protocol/methods.ts";
import { isP256, keyFingerprint } from "./fingerprint.ts";
import type { Identity } from "./identity.ts";

/** What is signed. The binding keeps it from being sent again later, the old pin from standing for another device. */
const statement = (binding: Uint8Array, fingerprint: string, certificate: Uint8Array): Bytes =>
  parts("lango/v1/companion/rollover", binding, Buffer.from(fingerprint, "base64url"), certificate);

/**
 * The params of `rollover`: tells a paired device, over a channel with the old key, which key comes next, and that it is held here.
 *
 * @param binding - Of the channel: 32 bytes.
 * @param fingerprint - The old pin.
 * @returns The next certificate, and ECDSA P-256 with SHA-256 (r‖s, 64 bytes) by its key over parts(label, binding, old pin,
 *   certificate).
 */
export const proveRollover = (
  binding: Uint8Array,
  fingerprint: string,
  next: Pick<Identity, "certificate" | "privateKey">,
): Params<"rollover"> => {
  const key = { key: next.privateKey, dsaEncoding: "ieee-p1363" } as const;
  const signature = sign("sha256", statement(binding, fingerprint, next.certificate), key);
  return { certificate: next.certificate, signature: toPlain(signature) };
};

/**
 * Checks the params of `rollover`; the result is for `replacePin`.
 *
 * @param binding - Of the channel that they came on.
 * @param fingerprint - The pin of the device on that channel.
 * @param now - Milliseconds since the epoch. Default: `Date.now()`.
 * @returns The new pin.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for what is no certificate of a P-256 key that is valid now;
 *   `ERR_ACCESS_DENIED` when the signature is not by its key over this channel and pin.
 */
export const checkRollover = (
  binding: Uint8Array,
  fingerprint: string,
  { certificate, signature }: Params<"rollover">,
  now: number = Date.now(),
): string => {
  const { publicKey, validFromDate, validToDate } = parseCertificate(certificate);
  if (!isP256(publicKey)) throw unfit("is not of P-256");
  if (now < validFromDate.getTime() || now > validToDate.getTime()) throw unfit("is not valid now");
  const key = { key: publicKey, dsaEncoding: "ieee-p1363" } as const;
  if (!verify("sha256", statement(binding, fingerprint, certificate), key, signature)) {
    throw new CryptoError("ERR_ACCESS_DENIED", "The new key of the device was not proved");
  }
  return keyFingerprint(publicKey);
};

/** A handler that takes the new keys of paired devices itself, and leaves every other request to `handler`. */
export const withRollover =
  (
    peers: Pick<Peers, "replacePin">,
    handler: RequestHandler,
    clock: () => number = Date.now,
  ): RequestHandler =>
  async (request) => {
    if (request.method !== "rollover") return handler(request);
    const { binding, peer, params } = request as IncomingRequest<"rollover">;
    await peers.replacePin(peer.id, checkRollover(binding, peer.fingerprint, params, clock()));
    // Sent before the channel, whose key is a stranger's from now on, is looked at again.
    return { accepted: true };
  };

const parseCertificate = (certificate: Uint8Array): X509Certificate => {
  try {
    return new X509Certificate(certificate);
  } catch {
    throw unfit("cannot be read");
  }
};

const unfit = (why: string): CryptoError =>
  new CryptoError("ERR_INVALID_ARGUMENT", `The new certificate of the device ${why}`);

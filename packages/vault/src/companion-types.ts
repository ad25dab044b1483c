import type { Bytes } from "@lango/crypto-core";
import type { SlotSummary } from "./slot-types.ts";

/** A paired device: its pin, and what people call it. Has the shape of `Peer` of `@lango/companion`. */
export interface CompanionInfo {
  /** 128 bits in base64url, 22 characters; both devices have the same, and it stays when the key is renewed. */
  readonly id: string;
  /** 1 to 64 characters, none of them control or format characters. */
  readonly name: string;
  /** What the device is to this one. */
  readonly role: "agent" | "companion";
  /** The pin: SHA-256 of its public key (SubjectPublicKeyInfo) in base64url, 43 characters. */
  readonly fingerprint: string;
  /** `suspended`: from a restored database, which has forgotten revocations; it gets nothing until `confirm`. */
  readonly state: "active" | "suspended";
  /** Milliseconds since the epoch. */
  readonly pairedAt: number;
}

/** What requests were answered, so that a retry is answered and not done again. Has the shape of `ResultStore` of `@lango/companion`. */
export interface CompanionResults {
  /** @throws {@link CryptoError} `ERR_INTEGRITY` when the row was changed outside lango. */
  find(
    peerId: string,
    id: string,
  ): Promise<{ readonly hash: Bytes; readonly result: Bytes } | undefined>;
  /**
   * Keeps a result for 24 hours; it survives a power cut once this resolves. Calls of one moment share a commit.
   *
   * @param hash - Of the request.
   * @param result - At most 1 MiB. Sealed before it is written.
   * @throws {@link CryptoError} `ERR_CONFLICT` when there is a result of that request: answer with that one.
   */
  put(peerId: string, id: string, hash: Uint8Array, result: Uint8Array): Promise<void>;
}

/**
 * The devices that are paired with this one. Changes are in the audit log with the row that they wrote; rows carry MACs, and
 * one that was changed outside lango is `ERR_INTEGRITY`. An id that is not there is `ERR_NOT_FOUND`. A change of what slots name is
 * `ERR_CONFLICT`, retryable, when the slots were changed at the same time.
 */
export interface Companions {
  /** By name. */
  list(): Promise<CompanionInfo[]>;
  /**
   * The device with that pin, as it is now, also when another process has just changed it: asked before every request.
   *
   * @returns `undefined` when it was never paired, or is revoked.
   */
  find(fingerprint: string): Promise<CompanionInfo | undefined>;
  /**
   * Keeps a device whose pairing held. One with the same key takes the place of the old one: it was paired again.
   *
   * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT`; `ERR_CONFLICT` when another device has the id.
   */
  add(peer: Pick<CompanionInfo, "id" | "name" | "role" | "fingerprint">): Promise<CompanionInfo>;
  rename(id: string, name: string): Promise<CompanionInfo>;
  /**
   * Removes the pin, and with it the slots that the device opens. Connections drop as soon as they look for it: before the next
   * request, and while they are idle.
   *
   * @returns The slots that went.
   * @throws {@link CryptoError} `ERR_CONFLICT` when one of them is the one that opened this vault.
   */
  revoke(id: string): Promise<readonly SlotSummary[]>;
  /** Takes a suspended device in again; an active one stays as it is. */
  confirm(id: string): Promise<CompanionInfo>;
  /**
   * Replaces the pin of a device that proved, over a channel with its old key, that it holds the new one; also in the slots that
   * it opens.
   *
   * @throws {@link CryptoError} `ERR_ACCESS_DENIED` for a suspended device; `ERR_CONFLICT` when another device has that pin.
   */
  replacePin(id: string, fingerprint: string): Promise<void>;
  readonly results: CompanionResults;
}

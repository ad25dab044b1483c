/** Who asks, and who holds the keys. */
export type Role = "agent" | "companion";

/** A paired device. */
export interface Peer {
  /** 128 bits in base64url, given at pairing; it stays when the certificate is renewed. */
  readonly id: string;
  /** What people call it. */
  readonly name: string;
  readonly role: Role;
  /** The pin: SHA-256 of its public key (SubjectPublicKeyInfo, RFC 5280 §4.1) in base64url, 43 characters. */
  readonly fingerprint: string;
  /** `suspended`: known, but of a restored backup; it gets nothing until a person confirms it. */
  readonly state: "active" | "suspended";
  /** Milliseconds since the epoch. */
  readonly pairedAt: number;
}

/** The pins. They are asked at every connection, before every request, and while a connection is idle. */
export interface Peers {
  /** The device with that pin, whatever its state; `undefined` when it was never paired, or is revoked. */
  find(fingerprint: string): Promise<Peer | undefined>;
  /** Replaces the pin of a device that proved, over a channel with its old key, that it holds the new one. */
  replacePin(id: string, fingerprint: string): Promise<void>;
}

import type { TLSSocket } from "node:tls";
import type { Bytes } from "@lango/crypto-core";
import type { WebSocket } from "ws";
import type { Role } from "../peers.ts";
import type { Identity } from "./identity.ts";

/** What a pairing gives: the pin to keep. Hand it to `vault.companions.add`. */
export interface PairedPeer {
  /** 128 bits in base64url, 22 characters; both sides have the same. */
  readonly id: string;
  /** As the device calls itself, free of control, ANSI and bidirectional characters. */
  readonly name: string;
  readonly role: Role;
  /** SHA-256 of its public key in base64url, 43 characters. */
  readonly fingerprint: string;
  /** DER. */
  readonly certificate: Bytes;
}

/** Keeps the pin durably; the pairing counts only when it resolved. */
export type StorePeer = (peer: PairedPeer) => Promise<void>;

interface PairingOptions {
  readonly identity: Identity;
  /** The own role; the other side must have the other one. */
  readonly role: Role;
  /** What the other side will call this device; cleaned as by `cleanName`. */
  readonly name: string;
  /** Called when both proofs hold, before the other side is told; when it rejects, nobody is paired. */
  readonly store: StorePeer;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that the other device may take for a step in which no person takes part. Default: 10,000. */
  readonly stepMs?: number | undefined;
  /** Milliseconds since the epoch, for the validity of certificates and of the code. Default: `Date.now`. */
  readonly clock?: (() => number) | undefined;
}

/**
 * Shows six digits to the person, and resolves to whether the other device shows the same.
 *
 * @param about.peerName - As the other device calls itself, cleaned; nothing vouches for it yet.
 * @param about.signal - Aborts when the answer does not matter any more.
 */
export type ConfirmDigits = (
  digits: string,
  about: { readonly peerName: string; readonly signal: AbortSignal },
) => Promise<boolean>;

export interface PairingHostOptions extends PairingOptions {
  /** A one-time code that is shown here and typed or scanned there; or six digits that two people compare. */
  readonly mode:
    | { readonly kind: "code" }
    | { readonly kind: "compare"; readonly confirm: ConfirmDigits };
  /** Where the listener is reached, for the URI; without it there is none. */
  readonly address?: { readonly host: string; readonly port: number } | undefined;
  /** Milliseconds until nobody can be paired any more. Default: 120,000. */
  readonly validMs?: number | undefined;
}

/** One open pairing. */
export interface PairingHost {
  /** 26 characters of Crockford's base32 in groups, 128 bits; in code mode. */
  readonly code?: string | undefined;
  /** `lango-pair:` with address, fingerprint and code; in code mode with an address. */
  readonly uri?: string | undefined;
  /** The URI as a QR code for a terminal; rejects with `ERR_INVALID_ARGUMENT` without a URI. */
  qr(): Promise<string>;
  /** Takes a connection at `/companion/pair`; never throws. What fails there ends the pairing only after the code was right. */
  readonly accept: (socket: WebSocket, connection: TLSSocket) => void;
  /**
   * The device that was paired. Rejects with `ERR_TIMEOUT` when the time is over, `ERR_ACCESS_DENIED` after 3 wrong codes,
   * `ERR_DENIED` when a person said no, `ERR_CLOSED` after `cancel`, the reason of the signal, or what `store` rejected with.
   */
  readonly done: Promise<PairedPeer>;
  cancel(): void;
}

export interface JoinPairingOptions extends PairingOptions {
  /** `https://` or `wss://` of the host, or the host's `lango-pair:` URI, which brings code and fingerprint. */
  readonly url: string;
  /** As the host shows it: any case, O for 0, I or L for 1, spaces and dashes as one likes. */
  readonly code?: string | undefined;
  /** In compare mode. */
  readonly confirm?: ConfirmDigits | undefined;
  /** The host's, when it is known: checked before anything is sent. */
  readonly fingerprint?: string | undefined;
}

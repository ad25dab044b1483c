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
}

/** Shows digits to the person and resolves to whether the other device shows the same. */
export type ConfirmDigits = (digits: string, peerName: string) => Promise<boolean>;

export interface PairingHostOptions extends PairingOptions {
  /** A one-time code that is shown here and typed or scanned there; or six digits that two people compare. */
  readonly mode:
    | { readonly kind: "code" }
    | { readonly kind: "compare"; readonly confirm: ConfirmDigits };
  /** Where the listener is reached, for the URI; without it there is none. */
  readonly address?: { readonly host: string; readonly port: number } | undefined;
  /** Milliseconds that the code is valid. Default: 120,000. */
  readonly validMs?: number | undefined;
}

/** One open pairing. */
export interface PairingHost {
  /** 26 characters of Crockford's base32 in groups, 128 bits; in code mode. */
  readonly code?: string | undefined;
  /** `lango-pair:` with address, fingerprint and code; in code mode with an address. */
  readonly uri?: string | undefined;
  /** The URI as a QR code for a terminal. @throws CryptoError `ERR_INVALID_ARGUMENT` without a URI. */
  qr(): Promise<string>;
  /** Takes a connection at `/companion/pair`. Never rejects: whatever goes wrong there is told by `done`, or may be tried again. */
  accept(socket: WebSocket, connection: TLSSocket): void;
  /** Settles once: the device that was paired; rejects when the tries or the time are used up, or the pairing was cancelled. */
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

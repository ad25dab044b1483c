import { type Bytes, CryptoError } from "@lango/crypto-core";
import { formatCode, parseCode } from "./code.ts";

/** Where to pair, and what is known of the device there. */
export interface PairingAddress {
  readonly host: string;
  readonly port: number;
  /** 16 bytes. */
  readonly code?: Bytes | undefined;
  readonly fingerprint?: string | undefined;
}

const SCHEME = "lango-pair:";
const FINGERPRINT = /^[\w-]{43}$/;

/**
 * `lango-pair://HOST:PORT/#f=FINGERPRINT&c=CODE`, for a QR code. Code and fingerprint are in the fragment, which nothing sends
 * anywhere.
 */
export const formatPairingUri = ({
  host,
  port,
  code,
  fingerprint,
}: Required<PairingAddress> & { code: Bytes; fingerprint: string }): string => {
  const shown = host.includes(":") ? `[${host}]` : host;
  return `${SCHEME}//${shown}:${port}/#f=${fingerprint}&c=${formatCode(code).replaceAll("-", "")}`;
};

/**
 * Reads `https://` or `wss://` with host and port (443 without one), or a `lango-pair:` URI.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT`; it repeats nothing of the text, which may hold a code.
 */
export const parsePairingAddress = (text: string): PairingAddress => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url?.hostname) throw invalid("The address of the other device is no URL");
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (url.protocol === "https:" || url.protocol === "wss:") {
    return { host, port: url.port === "" ? 443 : Number(url.port) };
  }
  if (url.protocol !== SCHEME) {
    throw invalid("The address of the other device is neither https, wss nor lango-pair");
  }
  const known = new URLSearchParams(url.hash.slice(1));
  const fingerprint = known.get("f") ?? "";
  if (url.port === "" || !FINGERPRINT.test(fingerprint)) {
    throw invalid("The lango-pair address is not whole");
  }
  return { host, port: Number(url.port), fingerprint, code: parseCode(known.get("c") ?? "") };
};

/** @throws {@link CryptoError} `ERR_INVALID_ARGUMENT`. */
export const checkFingerprint = (fingerprint: string): void => {
  if (FINGERPRINT.test(fingerprint)) return;
  throw invalid("A fingerprint is 43 characters of base64url");
};

const invalid = (message: string): CryptoError => new CryptoError("ERR_INVALID_ARGUMENT", message);

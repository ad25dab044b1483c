import { CryptoError } from "@lango/crypto-core";
import type { GcpKmsTransport } from "./client.ts";
import { isKeyRingName, parseKeyName } from "./names.ts";

/** The settings of the provider in a configuration file. None is a secret: credentials are Google's own matter. */
export interface GcpKmsConfig {
  /** `https://host[:port]`; `http://` for a loopback address alone. Default: `https://cloudkms.googleapis.com`. */
  readonly endpoint?: string | undefined;
  /** `grpc` (default), or `rest` where proxies let only HTTP/1.1 through. */
  readonly transport?: GcpKmsTransport | undefined;
  /** `projects/P/locations/L/keyRings/R/cryptoKeys/K`, with `/cryptoKeyVersions/N` to pin a version. */
  readonly keyId?: string | undefined;
  readonly encryptKeyId?: string | undefined;
  readonly signKeyId?: string | undefined;
}

const KEYS = ["endpoint", "transport", "keyId", "encryptKeyId", "signKeyId"] as const;

/**
 * Reads a configuration: strings alone, and no other names.
 *
 * @throws {@link CryptoError} `ERR_CONFIG` naming the path of every fault.
 */
export function parseConfig(input: unknown): GcpKmsConfig {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    throw wrong(["the configuration is no object"]);
  }
  const faults: string[] = [];
  for (const [name, value] of Object.entries(input)) {
    if (!KEYS.some((key) => key === name)) faults.push(`${name}: unknown`);
    else if (typeof value !== "string") faults.push(`${name}: must be a string`);
  }
  if (faults.length > 0) throw wrong(faults);
  checkSettings(input);
  return { ...input };
}

/** @throws `ERR_CONFIG` naming the path of every fault. */
export function checkSettings(
  settings: GcpKmsConfig & { readonly keyRing?: string | undefined },
): void {
  const { endpoint, transport, keyRing } = settings;
  const faults: string[] = [];
  if (endpoint !== undefined && !isEndpoint(endpoint)) {
    faults.push("endpoint: must be https://host[:port], or http:// for a loopback address");
  }
  if (transport !== undefined && transport !== "grpc" && transport !== "rest") {
    faults.push("transport: must be grpc or rest");
  }
  if (keyRing !== undefined && !isKeyRingName(keyRing)) {
    faults.push("keyRing: must be projects/P/locations/L/keyRings/R");
  }
  for (const name of ["keyId", "encryptKeyId", "signKeyId"] as const) {
    const value = settings[name];
    if (value !== undefined && parseKeyName(value) === undefined) {
      faults.push(`${name}: must be projects/P/locations/L/keyRings/R/cryptoKeys/K`);
    }
  }
  if (faults.length > 0) throw wrong(faults);
}

const isEndpoint = (text: string): boolean => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.username !== "" || url.password !== "") return false;
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") return false;
  const loopback = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  return url.protocol === "https:" || (url.protocol === "http:" && loopback);
};

const wrong = (faults: readonly string[]): CryptoError =>
  new CryptoError("ERR_CONFIG", `gcp-kms: ${faults.join("; ")}`, {
    context: { provider: "gcp-kms" },
  });

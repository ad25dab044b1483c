import { CryptoError } from "@lango/crypto-core";
import { MAX_KEY_ID_CHARACTERS } from "./limits.ts";

/** A companion that is paired, as a configuration names it. */
export interface CompanionPin {
  /** 128 bits in base64url, 22 characters, as the pairing gave it. */
  readonly id: string;
  readonly name: string;
  /** SHA-256 of its public key (SubjectPublicKeyInfo, RFC 5280 §4.1) in base64url, 43 characters. */
  readonly fingerprint: string;
}

/** The settings of the provider in a configuration. None is a secret. */
export interface RpcConfig {
  /** `https://host[:port]` or `wss://host[:port]` of the companion. */
  readonly rpcUrl: string;
  /** What the key ids `default` and `""` stand for. */
  readonly keyId?: string | undefined;
  /** Where `identity.key` and `identity.crt` of this device are; see `loadIdentity` of `@lango/companion`. */
  readonly identityFolder: string;
  /** The paired companions; with more than one, whichever answers first is asked from then on. */
  readonly companions: readonly CompanionPin[];
  /** Milliseconds for a request, but for the time that a person takes. Default: 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Milliseconds that a person may take. Default: 120,000; at most 600,000. */
  readonly approvalTimeoutMs?: number | undefined;
}

type Check = (value: unknown) => string | undefined;

const text: Check = (value) =>
  typeof value === "string" && value !== "" ? undefined : "must be a string that is not empty";
const milliseconds: Check = (value) =>
  Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 600_000
    ? undefined
    : "must be an integer from 1 to 600000";

const CHECKS: Readonly<Record<keyof RpcConfig, Check>> = {
  rpcUrl: (value) => (isCompanionUrl(value) ? undefined : "must be https:// or wss:// and a host"),
  keyId: (value) =>
    typeof value === "string" && value.length <= MAX_KEY_ID_CHARACTERS
      ? undefined
      : `must be a string of at most ${MAX_KEY_ID_CHARACTERS} characters`,
  identityFolder: text,
  companions: (value) =>
    Array.isArray(value) && value.length > 0 && value.every(isPin)
      ? undefined
      : "must be a list of { id, name, fingerprint }, with one at least",
  timeoutMs: milliseconds,
  approvalTimeoutMs: milliseconds,
};
const REQUIRED = ["rpcUrl", "identityFolder", "companions"] as const;

/**
 * Reads a configuration: the settings of {@link RpcConfig} and no others.
 *
 * @throws {@link CryptoError} `ERR_CONFIG` naming the path of every fault.
 */
export function parseConfig(input: unknown): RpcConfig {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    throw wrong(["the configuration is no object"]);
  }
  const settings = Object.entries(input).filter(([, value]) => value !== undefined);
  const faults = settings.flatMap(([name, value]) => {
    const fault = Object.hasOwn(CHECKS, name) ? CHECKS[name as keyof RpcConfig](value) : "unknown";
    return fault === undefined ? [] : [`${name}: ${fault}`];
  });
  for (const name of REQUIRED) {
    if (!settings.some(([set]) => set === name)) faults.push(`${name}: is not set`);
  }
  if (faults.length > 0) throw wrong(faults);
  return Object.fromEntries(settings) as unknown as RpcConfig;
}

/** @throws {@link CryptoError} `ERR_CONFIG` for what is no URL of a companion. */
export function checkUrl(url: string): void {
  if (!isCompanionUrl(url)) throw wrong(["url: must be https:// or wss:// and a host"]);
}

const isCompanionUrl = (value: unknown): boolean => {
  if (typeof value !== "string" || !URL.canParse(value)) return false;
  const { protocol, username, password, search, hash } = new URL(value);
  const isTls = protocol === "https:" || protocol === "wss:";
  return isTls && [username, password, search, hash].every((part) => part === "");
};

const PIN = { id: /^[\w-]{22}$/, name: /^\P{Cc}{1,128}$/u, fingerprint: /^[\w-]{43}$/ };

const isPin = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return false;
  const entries = Object.entries(value);
  const names = Object.keys(PIN) as (keyof typeof PIN)[];
  return (
    entries.length === names.length &&
    names.every((name) => PIN[name].test(String((value as Record<string, unknown>)[name])))
  );
};

const wrong = (faults: readonly string[]): CryptoError =>
  new CryptoError("ERR_CONFIG", `rpc: ${faults.join("; ")}`, { context: { provider: "rpc" } });

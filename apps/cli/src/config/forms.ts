import { isBelowFloor, parseKdfOption } from "@lango/envelope";
import { parseDatabaseUrl } from "@lango/store";

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Reads a duration such as `250ms`, `5s`, `1.5m` or `1h`, in milliseconds; `undefined` for anything else. */
export function durationMs(text: string): number | undefined {
  const [, amount, unit = ""] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/.exec(text) ?? [];
  return amount === undefined ? undefined : Math.round(Number(amount) * UNIT_MS[unit]!);
}

/** From 1 ms to 10 minutes. */
export function isTimeout(value: string): boolean {
  const ms = durationMs(value);
  return ms !== undefined && ms >= 1 && ms <= 600_000;
}

const BUILT_IN = ["local", "rpc", "aws-kms", "gcp-kms", "azure-kv", "pkcs11"];

/** A provider of ours, or the name of a scoped package: a mistyped short name shall not be looked for. */
export const isProviderName = (value: string): boolean =>
  BUILT_IN.includes(value) || /^@[a-z0-9][a-z0-9._-]*\/[a-z0-9][a-z0-9._-]*$/.test(value);

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** An address that nobody on the way can read or answer for, and that carries no credentials. */
export function isServiceUrl(value: string): boolean {
  const url = URL.parse(value);
  if (url === null || url.username !== "" || url.password !== "") return false;
  return url.protocol === "https:" || (url.protocol === "http:" && LOOPBACK.test(url.hostname));
}

/** An address of a companion: TLS, and nothing but host and port, since the path is fixed. */
export function isCompanionUrl(value: string): boolean {
  const url = URL.parse(value);
  if (url === null || !/^(https|wss):$/.test(url.protocol)) return false;
  return [url.username, url.password, url.search, url.hash].every((part) => part === "");
}

/** A PostgreSQL address that carries no password. */
export function isDatabaseUrl(value: string): boolean {
  try {
    return parseDatabaseUrl(value).password === "";
  } catch {
    return false;
  }
}

/** A regular expression, read with the `u` flag. */
export function isPattern(value: string): boolean {
  try {
    new RegExp(value, "u");
    return true;
  } catch {
    return false;
  }
}

/** What SQLCipher takes. */
export const isPageSize = (bytes: number): boolean =>
  bytes >= 1024 && bytes <= 65_536 && (bytes & (bytes - 1)) === 0;

/** A key derivation that is strong enough for new slots. */
export function isKdf(value: string): boolean {
  try {
    return !isBelowFloor(parseKdfOption(value));
  } catch {
    return false;
  }
}

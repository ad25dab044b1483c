import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { CryptoError } from "@lango/crypto-core";

const DEFAULT_SCHEMA = "lango";
/** PostgreSQL cuts longer names off. */
const MAX_IDENTIFIER_BYTES = 63;

/** A database URL, taken apart. */
export interface Address {
  /** The URL without its password, for messages. */
  readonly location: string;
  readonly schema: string;
  /** A name, an address, or the folder of a socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  readonly applicationName: string;
  /** False: without TLS, which only this machine's own server is spoken to. */
  readonly ssl: false | ConnectionOptions;
}

/** Every parameter of the URL that is understood. A misspelt `sslmode` must not go unnoticed. */
const PARAMETERS = new Set([
  "schema",
  "host",
  "application_name",
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
]);

/**
 * Takes a `postgres:` URL apart.
 *
 * @throws {@link CryptoError} `ERR_CONFIG` for what is no such URL, an unknown parameter, a TLS mode that does not check
 *   the server, or a certificate file that cannot be read. No message has the password.
 */
export function parseAddress(url: string): Address {
  const parsed = parseDatabaseUrl(url);
  const parameters = parsed.searchParams;
  const host =
    parameters.get("host") ?? (decode(parsed.hostname).replace(/^\[|\]$/g, "") || "localhost");
  const schema = parameters.get("schema") ?? DEFAULT_SCHEMA;
  checkSchema(schema);
  const port = parsed.port === "" ? 5432 : Number(parsed.port);
  const user = decode(parsed.username) || undefined;
  const database = decode(parsed.pathname.slice(1)) || undefined;
  return {
    location: locate(parsed, host, port, schema),
    schema,
    host,
    port,
    user,
    password: decode(parsed.password) || undefined,
    database,
    applicationName: parameters.get("application_name") ?? "lango",
    ssl: tlsOf(host, parameters),
  };
}

/**
 * Reads a `postgres:` URL as far as that needs no file, so that it can be told from one that may not be shown even without
 * its password.
 *
 * @throws {@link CryptoError} `ERR_CONFIG`.
 */
export function parseDatabaseUrl(url: string): URL {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    // The error of URL has the whole text, password and all.
    throw faulty("is no URL");
  }
  if (parsed.protocol !== "postgres:" && parsed.protocol !== "postgresql:")
    throw faulty("does not begin with postgres://");
  // Of `u:12/ab@host` the host would be `u`, and the rest of the password a part that messages show.
  if (parsed.hash !== "" || /@/.test(parsed.pathname) || (/@/.test(url) && !hasUser(parsed))) {
    throw faulty(
      "has a / ? or # before its host",
      "In a password write / as %2F, ? as %3F and # as %23; elsewhere @ as %40.",
    );
  }
  for (const name of parsed.searchParams.keys()) {
    if (!PARAMETERS.has(name)) throw faulty(`has the unknown parameter ${JSON.stringify(name)}`);
  }
  return parsed;
}

const hasUser = ({ username, password }: URL): boolean => username !== "" || password !== "";

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw faulty("has a % that begins no escape");
  }
}

function checkSchema(schema: string): void {
  const length = Buffer.byteLength(schema);
  if (
    length > 0 &&
    length <= MAX_IDENTIFIER_BYTES &&
    !schema.includes("\0") &&
    !schema.startsWith("pg_")
  )
    return;
  throw faulty(
    "names a schema that PostgreSQL does not take: 1 to 63 bytes, not beginning with pg_",
  );
}

function locate(parsed: URL, host: string, port: number, schema: string): string {
  const user = parsed.username === "" ? "" : `${parsed.username}@`;
  const socket = host.startsWith("/") ? `host=${encodeURIComponent(host)}&` : "";
  const authority = socket === "" ? (isIP(host) === 6 ? `[${host}]` : host) : "localhost";
  return `postgres://${user}${authority}:${port}${parsed.pathname}?${socket}schema=${encodeURIComponent(schema)}`;
}

/** A host whose traffic does not leave the machine. */
const isLocal = (host: string): boolean =>
  host.startsWith("/") ||
  host === "localhost" ||
  host === "::1" ||
  /^127\.\d+\.\d+\.\d+$/.test(host);

/** Modes of libpq (PostgreSQL's documentation, 34.19.1) that check less than the certificate and its name become the one that does. */
const CHECKED = new Set(["require", "verify-ca", "verify-full"]);

function tlsOf(host: string, parameters: URLSearchParams): false | ConnectionOptions {
  const mode = parameters.get("sslmode") ?? (isLocal(host) ? "disable" : "verify-full");
  if (mode === "disable" && isLocal(host)) return false;
  if (!CHECKED.has(mode)) {
    throw faulty(
      `has sslmode=${JSON.stringify(mode)}, which does not check who the server is`,
      "Use sslmode=verify-full, with sslrootcert=FILE if its authority is your own.",
    );
  }
  const file = (name: string) => {
    const path = parameters.get(name);
    return path === null ? {} : { [TLS_FILES[name] as string]: read(name, path) };
  };
  return {
    rejectUnauthorized: true,
    minVersion: "TLSv1.2",
    ...file("sslrootcert"),
    ...file("sslcert"),
    ...file("sslkey"),
  };
}

const TLS_FILES: Readonly<Record<string, string>> = {
  sslrootcert: "ca",
  sslcert: "cert",
  sslkey: "key",
};

function read(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new CryptoError("ERR_CONFIG", `${name}=${path} of the database URL cannot be read`, {
      cause,
    });
  }
}

const faulty = (
  what: string,
  hint = "It looks like postgres://user@host:5432/database?schema=lango",
): CryptoError => new CryptoError("ERR_CONFIG", `The database URL ${what}`, { context: { hint } });

import { readFileSync } from "node:fs";
import { CryptoError } from "@lango/crypto-core";
import { parseDatabaseUrl } from "@lango/store";
import type { StoreAddress } from "@lango/vault";
import type { Config } from "./defaults.ts";
import { readConfigFile } from "./load.ts";
import { withDefaults } from "./shape.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** An address, and what named it. */
export interface NamedAddress extends StoreAddress {
  readonly source: string;
}

/**
 * The database in which the rows of the vault are, `undefined` for the file of its home. `DATABASE_URL` selects PostgreSQL
 * whatever the settings say, and brings the password that they may not hold.
 *
 * @throws CryptoError `ERR_CONFIG` where two of them name different databases, or none does; no message has a password.
 */
export async function configuredStore(
  home: string,
  env: Environment,
): Promise<NamedAddress | undefined> {
  const given = givenAddress(env);
  const set = settingsAddress(withDefaults((await readConfigFile(home)) ?? {}).store, given);
  if (!given || !set) return given ?? set;
  if (isSameDatabase(given.url, set.url)) return given;
  throw differ(given, set, "Unset the variable, or correct the setting");
}

/** What the settings name, without the environment. */
const settingsAddress = (
  { driver, url }: Config["store"],
  given: NamedAddress | undefined,
): NamedAddress | undefined => {
  if (driver === "sqlite") return undefined;
  if (url !== "") return { url, source: "the setting store.url" };
  if (given) return undefined;
  throw new CryptoError(
    "ERR_CONFIG",
    "store.driver is postgres, but neither store.url nor DATABASE_URL names a database",
    { context: { hint: "Set store.url, or DATABASE_URL with the password in it" } },
  );
};

/**
 * What `DATABASE_URL` or `DATABASE_URL_FILE` says.
 *
 * @throws CryptoError `ERR_CONFIG` when both are set and differ, the file cannot be read, or it is no PostgreSQL address.
 */
export function givenAddress(env: Environment): NamedAddress | undefined {
  const direct = env["DATABASE_URL"]
    ? { url: env["DATABASE_URL"].trim(), source: "DATABASE_URL" }
    : undefined;
  const path = env["DATABASE_URL_FILE"];
  const fromFile = path ? { url: readAddress(path), source: "DATABASE_URL_FILE" } : undefined;
  if (direct && fromFile && direct.url !== fromFile.url) {
    throw differ(direct, fromFile, "Unset one of them");
  }
  const address = direct ?? fromFile;
  if (address) checkAddress(address);
  return address;
}

/** @throws CryptoError `ERR_CONFIG` unless it is a PostgreSQL address. */
export function checkAddress({ url, source }: NamedAddress): void {
  if (/^postgres(ql)?:$/.test(URL.parse(url)?.protocol ?? "")) {
    parseDatabaseUrl(url);
    return;
  }
  throw new CryptoError("ERR_CONFIG", `${source} is no address of a PostgreSQL database`, {
    context: {
      hint: "It looks like postgres://user:password@host:5432/database; if it is for another program, unset it for lango",
    },
  });
}

function readAddress(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new CryptoError("ERR_CONFIG", `DATABASE_URL_FILE: ${path} cannot be read (${code})`, {
      cause,
    });
  }
}

/** Whether two addresses name one database, whoever asks with whatever password. */
export function isSameDatabase(one: string, other: string): boolean {
  const [a, b] = [one, other].map((url) => URL.parse(url));
  if (!a || !b) return false;
  const port = (url: URL): string => url.port || "5432";
  const query = (url: URL, name: string, usual: string): string =>
    url.searchParams.get(name) ?? usual;
  return (
    a.hostname === b.hostname &&
    port(a) === port(b) &&
    a.pathname === b.pathname &&
    query(a, "schema", "lango") === query(b, "schema", "lango") &&
    query(a, "host", "") === query(b, "host", "")
  );
}

/** An address that may be shown and kept in the settings. */
export function withoutPassword(url: string): string {
  const shown = new URL(url);
  shown.password = "";
  return shown.href;
}

const differ = (one: NamedAddress, other: NamedAddress, hint: string): CryptoError =>
  new CryptoError("ERR_CONFIG", `${one.source} and ${other.source} are both set and differ`, {
    context: { hint },
  });

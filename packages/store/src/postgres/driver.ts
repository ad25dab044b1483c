import { CryptoError } from "@lango/crypto-core";
import type { Client, ClientConfig } from "pg";
import { loadDriver } from "../driver.ts";

/** The class `Client` of `pg`. */
export type PgConstructor = new (config: ClientConfig) => Client;

/** Loads `pg`. @throws {@link CryptoError} `ERR_PROVIDER_NOT_INSTALLED`. */
export async function loadPg(
  // By its name, so that a bundler finds it.
  load: (specifier: string) => Promise<unknown> = () => import("pg"),
): Promise<PgConstructor> {
  const module = await loadDriver("pg", load);
  if (module !== undefined)
    return (module as { default: { Client: PgConstructor } }).default.Client;
  throw new CryptoError("ERR_PROVIDER_NOT_INSTALLED", "The PostgreSQL driver is not installed", {
    context: { hint: "npm install pg" },
  });
}

import type { Store } from "@lango/store";
import { Client, type QueryResult } from "pg";
import { POSTGRES_USER, type PostgresServer } from "../../../tooling/services/postgres.ts";
import { POSTGRES_PASSWORD, sharedPostgres } from "../../../tooling/vitest/postgres.ts";

/** The URL of a server with the password, without a schema. */
export const addressOf = ({ port }: PostgresServer): string =>
  `postgres://${POSTGRES_USER}:${encodeURIComponent(POSTGRES_PASSWORD)}@127.0.0.1:${port}/postgres`;

/** The URL of a store with the password that its location leaves out. */
export function withPassword({ location }: Pick<Store, "location">): string {
  const url = new URL(location);
  url.password = encodeURIComponent(POSTGRES_PASSWORD);
  return url.href;
}

/** Runs SQL as the owner of everything, in the schema of a store if one is given. */
export async function asOwner(sql: string, store?: Store): Promise<QueryResult> {
  const client = new Client({ connectionString: addressOf(await sharedPostgres()) });
  await client.connect();
  try {
    if (store !== undefined) await client.query(`set search_path to ${schemaOf(store)}`);
    return await client.query(sql);
  } finally {
    await client.end();
  }
}

/** The schema of a store as a quoted identifier. */
export const schemaOf = ({ location }: Store): string =>
  `"${new URL(location).searchParams.get("schema")?.replaceAll('"', '""')}"`;

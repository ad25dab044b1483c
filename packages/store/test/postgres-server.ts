import type { Store } from "@lango/store";
import { Client, type QueryResult } from "pg";
import { afterAll } from "vitest";
import {
  POSTGRES_USER,
  type PostgresServer,
  startPostgres,
} from "../../../tooling/services/postgres.ts";
import { requireService } from "../../../tooling/vitest/require-service.ts";

/** With characters that a URL has to escape. */
export const PASSWORD = "p@ss/w:rd?#%";

export interface TestServer {
  readonly server: PostgresServer;
  /** Its URL with the password, without a schema. */
  readonly address: string;
}

let starting: Promise<TestServer> | undefined;

afterAll(async () => {
  await (await starting?.catch(() => undefined))?.server.stop();
  starting = undefined;
});

/** A server that the tests of a file share; started by the first that asks. */
export function postgres(): Promise<TestServer> {
  const program = requireService("postgres");
  starting ??= startPostgres(program, PASSWORD).then((server) => ({
    server,
    address: addressOf(server),
  }));
  return starting;
}

export const addressOf = ({ port }: PostgresServer): string =>
  `postgres://${POSTGRES_USER}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/postgres`;

/** The URL of a store with the password that its location leaves out. */
export function withPassword({ location }: Pick<Store, "location">): string {
  const url = new URL(location);
  url.password = encodeURIComponent(PASSWORD);
  return url.href;
}

/** Runs SQL as the owner of everything, in the schema of a store if one is given. */
export async function asOwner(sql: string, store?: Store): Promise<QueryResult> {
  const { address } = await postgres();
  const client = new Client({ connectionString: address });
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

import { randomUUID } from "node:crypto";
import { afterAll } from "vitest";
import { POSTGRES_USER, type PostgresServer, startPostgres } from "../services/postgres.ts";
import { requireService } from "./require-service.ts";

/** With characters that a URL has to escape, and nothing that stands in a message by chance. */
export const POSTGRES_PASSWORD = "p@ss/w:rd?#%";

let starting: Promise<PostgresServer> | undefined;

afterAll(async () => {
  await (await starting?.catch(() => undefined))?.stop();
  starting = undefined;
});

/** A server that the tests of a file share; started by the first that asks. */
export function sharedPostgres(): Promise<PostgresServer> {
  const program = requireService("postgres");
  starting ??= startPostgres(program, POSTGRES_PASSWORD);
  return starting;
}

/** The URL, with its password, of a schema that nobody else has. */
export async function newDatabaseUrl(): Promise<string> {
  const { port } = await sharedPostgres();
  const schema = `t_${randomUUID().slice(0, 8)}`;
  return `postgres://${POSTGRES_USER}:${encodeURIComponent(POSTGRES_PASSWORD)}@127.0.0.1:${port}/postgres?schema=${schema}`;
}

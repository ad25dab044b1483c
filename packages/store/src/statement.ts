import { CryptoError } from "@lango/crypto-core";
import type { CompiledQuery, Kysely } from "kysely";
import type { Dialect } from "./dialect.ts";
import type { Database } from "./schema.ts";

/** A value that a statement takes. */
export type SqlValue = string | number | null | Uint8Array;

/** Named parameters: every property of `P` is a {@link SqlValue}. */
export type Params<P> = { readonly [K in keyof P]: SqlValue };

/** A query built once: SQL text, and what its parameters are in their order, a constant or a {@link Placeholder}. */
export interface Compiled {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/**
 * A query with named parameters. Kysely would build, compile and prepare it anew at each call, at three times the cost
 * of the query itself, so it is compiled once for a dialect and prepared once for a connection.
 */
export interface Statement<P, R> {
  compile(dialect: Dialect): Compiled;
  /** Types only. */
  readonly types?: { params: P; row: R };
}

/** Stands for the value of a parameter while Kysely builds a query; Kysely takes it for a value and keeps it in order. */
export class Placeholder {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/**
 * Declares a query. `build` gets a parameter for every property it reads from its second argument:
 * `statement((q, p: { id: string }) => q.selectFrom("keys").selectAll().where("id", "=", p.id))`.
 */
export function statement<P extends Params<P>, R>(
  build: (
    queries: Kysely<Database>,
    params: P,
    dialect: Dialect,
  ) => { compile(): CompiledQuery<R> },
): Statement<P, R> {
  return {
    compile(dialect) {
      const params = new Proxy({} as P, { get: (_, name) => new Placeholder(String(name)) });
      return build(dialect.queries, params, dialect).compile();
    },
  };
}

/** The values for one run of a statement, in their order. */
export const bind = (parameters: readonly unknown[], values: object): unknown[] =>
  parameters.map((parameter) =>
    parameter instanceof Placeholder
      ? (values as Record<string, unknown>)[parameter.name]
      : parameter,
  );

/** Runs queries. */
export interface ReadExecutor {
  first<P extends Params<P>, R>(statement: Statement<P, R>, params: P): Promise<R | undefined>;
  all<P extends Params<P>, R>(statement: Statement<P, R>, params: P): Promise<R[]>;
}

/** Runs statements inside a transaction. */
export interface Executor extends ReadExecutor {
  /** Returns how many rows were changed. */
  run<P extends Params<P>, R>(statement: Statement<P, R>, params: P): Promise<number>;
  /** Runs a statement once for each of `list`; a server gets them all in one go. Returns how many rows each changed. */
  runEach<P extends Params<P>, R>(
    statement: Statement<P, R>,
    list: readonly P[],
  ): Promise<number[]>;
  /**
   * Keeps the transaction from committing and returns the first error that did, to be thrown: for work that stops halfway, so that a
   * caller who catches the error cannot commit the first half.
   */
  abandon(error: CryptoError): CryptoError;
}

/** Runs a statement that must change a row, because its `where` says what the caller saw. */
export async function change<P extends Params<P>, R>(
  executor: Executor,
  statement: Statement<P, R>,
  params: P,
  what: string,
): Promise<void> {
  if ((await executor.run(statement, params)) === 0) throw changed(what);
}

export const changed = (what: string): CryptoError =>
  new CryptoError("ERR_CONFLICT", `${what} was changed or removed by another process`, {
    context: { hint: "Read it again and repeat the change." },
  });

import type { Socket } from "node:net";
import { CryptoError } from "@lango/crypto-core";
import type { Client, QueryResult } from "pg";
import type { RetryOptions } from "../busy.ts";
import type { Dialect } from "../dialect.ts";
import { bind, type Params, type Statement } from "../statement.ts";
import type { Address } from "./address.ts";
import type { PgConstructor } from "./driver.ts";
import { endsConnection, isLost, mapPostgresError } from "./errors.ts";
import { quote } from "./quote.ts";
import { types } from "./types.ts";

/** How long an answer of the server is waited for, in milliseconds, before the connection is taken for one that has gone silent. */
export interface Limits {
  /** To a new connection, also where others are waited for only briefly. */
  readonly connectMs: number;
  readonly statementMs: number;
  /** To the end of a connection, whose answer nobody needs. */
  readonly closeMs: number;
}

export const LIMITS: Limits = { connectMs: 10_000, statementMs: 30_000, closeMs: 2_000 };

/**
 * Of every connection. A client that has gone silent must not keep others out: not by a transaction that it left open,
 * nor by a lock of a session that nobody ends.
 */
const SETTINGS = `
set client_encoding to 'UTF8';
set bytea_output to 'hex';
set client_min_messages to 'warning';
set standard_conforming_strings to on;
set idle_in_transaction_session_timeout to '60s';
set tcp_keepalives_idle to 30;
set tcp_keepalives_interval to 10;
set tcp_keepalives_count to 3;
`;

/** Where a database is and how it is spoken to. */
export interface Place {
  readonly address: Address;
  readonly Client: PgConstructor;
  readonly dialect: Dialect;
  readonly prepared: PreparedStatements;
  /** How long to wait for other processes, and for a server that cannot be reached. */
  readonly timeoutMs: number;
  readonly limits: Limits;
}

/** How long to try again where nothing was done yet. Reconnecting takes more than a lock of SQLite, so the delays are longer. */
export const whileLost = ({ timeoutMs }: Place): RetryOptions => ({
  timeoutMs,
  isPassing: isLost,
  maxDelayMs: 500,
});

interface Prepared {
  readonly name: string;
  readonly text: string;
  readonly parameters: readonly unknown[];
}

/** The statements of a store, each compiled once and known to every connection by the same name. */
export class PreparedStatements {
  readonly #dialect: Dialect;
  readonly #known = new Map<object, Prepared>();

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  get<P, R>(statement: Statement<P, R>): Prepared {
    let prepared = this.#known.get(statement);
    if (prepared === undefined) {
      const { sql, parameters } = statement.compile(this.#dialect);
      prepared = { name: `lango_${this.#known.size}`, text: sql, parameters };
      this.#known.set(statement, prepared);
    }
    return prepared;
  }
}

export interface ExecOptions {
  /** Milliseconds until the connection is taken for dead. Default: {@link Limits.statementMs}; 0 for work of any length. */
  readonly withinMs?: number;
}

/**
 * One connection. Its methods throw {@link CryptoError}s. Statements are sent without waiting for the answers to those
 * before. Once it is `lost` it stays so.
 */
export class Link {
  readonly #client: Client;
  readonly #socket: Socket;
  readonly #place: Place;
  #ending: Promise<void> | undefined;

  private constructor(place: Place, client: Client, socket: Socket) {
    this.#place = place;
    this.#client = client;
    this.#socket = socket;
  }

  /** @param settings - SQL for this connection alone. */
  static async open(place: Place, settings = ""): Promise<Link> {
    const { address, Client, limits } = place;
    // Ours, since the driver waits without end for a silent server to say goodbye. Loaded here: a vault in a file needs none.
    const { Socket } = process.getBuiltinModule("node:net");
    const socket = new Socket();
    const client = new Client({
      host: address.host,
      port: address.port,
      ...(address.user === undefined ? {} : { user: address.user }),
      ...(address.database === undefined ? {} : { database: address.database }),
      // A function keeps the driver from looking into other places, with a warning.
      password: () => (address.password ?? process.env["PGPASSWORD"]) as string,
      ssl: address.ssl,
      application_name: address.applicationName,
      stream: () => socket,
      connectionTimeoutMillis: limits.connectMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 30_000,
      pipeline: true,
      types,
    });
    const link = new Link(place, client, socket);
    // Told here as well when nothing is asked; without a listener it would end the process.
    client.on("error", () => link.close());
    try {
      await client.connect();
      await link.exec(`${SETTINGS}set search_path to ${quote(address.schema)};${settings}`);
      return link;
    } catch (error) {
      void link.close();
      throw mapPostgresError(error, address.location);
    }
  }

  get lost(): boolean {
    return this.#ending !== undefined;
  }

  async first<P extends Params<P>, R>(
    statement: Statement<P, R>,
    params: P,
    options?: ExecOptions,
  ): Promise<R | undefined> {
    return (await this.#run(statement, params, options)).rows[0] as R | undefined;
  }

  async all<P extends Params<P>, R>(
    statement: Statement<P, R>,
    params: P,
    options?: ExecOptions,
  ): Promise<R[]> {
    return (await this.#run(statement, params, options)).rows as R[];
  }

  async run<P extends Params<P>, R>(
    statement: Statement<P, R>,
    params: P,
    options?: ExecOptions,
  ): Promise<number> {
    return (await this.#run(statement, params, options)).rowCount ?? 0;
  }

  runEach<P extends Params<P>, R>(
    statement: Statement<P, R>,
    list: readonly P[],
  ): Promise<number[]> {
    return Promise.all(list.map((params) => this.run(statement, params)));
  }

  /** Runs SQL of several statements, and returns the result of each. */
  async exec(
    sql: string,
    { withinMs = this.#place.limits.statementMs }: ExecOptions = {},
  ): Promise<QueryResult[]> {
    const results: QueryResult | QueryResult[] = await this.#send({
      text: sql,
      query_timeout: withinMs,
    });
    return Array.isArray(results) ? results : [results];
  }

  /** Ends the connection, and with it what it holds on the server. Never fails, and does not wait for a silent one. */
  close(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    const giveUp = setTimeout(() => this.#socket.destroy(), this.#place.limits.closeMs);
    try {
      await this.#client.end();
    } catch {
      this.#socket.destroy();
    } finally {
      clearTimeout(giveUp);
    }
  }

  #run<P extends Params<P>, R>(
    statement: Statement<P, R>,
    params: P,
    { withinMs = this.#place.limits.statementMs }: ExecOptions = {},
  ): Promise<QueryResult> {
    const { name, text, parameters } = this.#place.prepared.get(statement);
    return this.#send({
      name,
      text,
      values: bind(parameters, params),
      query_timeout: withinMs,
    });
  }

  async #send(query: Query): Promise<QueryResult> {
    const { location } = this.#place.address;
    if (this.lost)
      throw new CryptoError("ERR_UNAVAILABLE", `The connection to ${location} was lost`);
    try {
      return await this.#client.query(query);
    } catch (error) {
      const mapped = mapPostgresError(error, location);
      if (error !== mapped && endsConnection(error)) void this.close();
      throw mapped;
    }
  }
}

/** A query as the driver takes it; its types lack the limit of time. */
interface Query {
  readonly name?: string;
  readonly text: string;
  readonly values?: unknown[];
  readonly query_timeout: number;
}

import { CryptoError } from "@lango/crypto-core";
import type { Executor, Params, Statement } from "./statement.ts";

/** The connection that a transaction runs on. */
export interface Queries {
  first<P extends Params<P>, R>(statement: Statement<P, R>, params: P): Awaitable<R | undefined>;
  all<P extends Params<P>, R>(statement: Statement<P, R>, params: P): Awaitable<R[]>;
  run<P extends Params<P>, R>(statement: Statement<P, R>, params: P): Awaitable<number>;
  runEach<P extends Params<P>, R>(
    statement: Statement<P, R>,
    list: readonly P[],
  ): Awaitable<number[]>;
}

type Awaitable<T> = T | Promise<T>;

/** What a transaction knows of itself while it runs. */
export class Running {
  readonly executor: Executor;
  #ended = false;
  #failure: CryptoError | undefined;
  readonly #mapError: (error: unknown) => CryptoError;

  constructor(queries: Queries, mapError: (error: unknown) => CryptoError) {
    this.#mapError = mapError;
    this.executor = {
      first: (statement, params) => this.#step(() => queries.first(statement, params)),
      all: (statement, params) => this.#step(() => queries.all(statement, params)),
      run: (statement, params) => this.#step(() => queries.run(statement, params)),
      runEach: (statement, list) => this.#step(() => queries.runEach(statement, list)),
      abandon: (error) => {
        this.#failure ??= error;
        return this.#failure;
      },
    };
  }

  /** A transaction in which a statement failed cannot commit, even if the error was caught: PostgreSQL's rule. */
  async commit(work: () => Awaitable<unknown>): Promise<void> {
    const committing = this.#step(work);
    // At once: what follows the commit on the same connection would be outside the transaction.
    this.end();
    await committing;
  }

  /** Makes the transaction unusable. */
  end(): void {
    this.#ended = true;
  }

  async #step<T>(work: () => Awaitable<T>): Promise<T> {
    if (this.#ended) throw new CryptoError("ERR_CLOSED", "The transaction has ended");
    // Where SQLite has rolled back by itself, e.g. on a full disk, a statement would run outside the transaction.
    if (this.#failure !== undefined) throw this.#failure;
    try {
      return await work();
    } catch (error) {
      throw this.executor.abandon(this.#mapError(error));
    }
  }
}

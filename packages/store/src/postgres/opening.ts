import { retry } from "../busy.ts";
import type { Queries } from "../running.ts";
import type { Params, Statement } from "../statement.ts";
import { type ExecOptions, type Link, type Place, whileLost } from "./link.ts";

export interface OpeningOptions {
  readonly place: Place;
  readonly connect: () => Promise<Link>;
  /** Begins on a connection; sends before it returns. */
  readonly begin: (link: Link) => Promise<void>;
}

/**
 * A transaction that begins together with its first statement: that is sent right behind, and so costs no round trip of its own.
 * A server that refuses the beginning refuses what follows, since the connection can write in no other transaction. Where the connection was lost before the answer to both, the two are
 * sent again on another: nothing of them was committed, and nobody has seen an answer.
 */
export class Opening implements Queries {
  readonly #options: OpeningOptions;
  #begun: Promise<Link> | undefined;

  constructor(options: OpeningOptions) {
    this.#options = options;
  }

  /** The connection once the transaction has begun; begins it where no statement has. */
  begun(): Promise<Link> {
    return this.#begun ?? this.#begin(() => undefined);
  }

  first<P extends Params<P>, R>(statement: Statement<P, R>, params: P): Promise<R | undefined> {
    return this.#ask((link, options) => link.first(statement, params, options));
  }

  all<P extends Params<P>, R>(statement: Statement<P, R>, params: P): Promise<R[]> {
    return this.#ask((link, options) => link.all(statement, params, options));
  }

  run<P extends Params<P>, R>(statement: Statement<P, R>, params: P): Promise<number> {
    return this.#ask((link, options) => link.run(statement, params, options));
  }

  async runEach<P extends Params<P>, R>(
    statement: Statement<P, R>,
    list: readonly P[],
  ): Promise<number[]> {
    return (await this.begun()).runEach(statement, list);
  }

  async #ask<T>(ask: (link: Link, options?: ExecOptions) => Promise<T>): Promise<T> {
    if (this.#begun !== undefined) return ask(await this.#begun);
    let answer: Promise<T> | undefined;
    const { timeoutMs, limits } = this.#options.place;
    // It waits for its turn with the beginning.
    const withinMs = timeoutMs + limits.statementMs;
    const link = await this.#begin((on) => {
      answer = ask(on, { withinMs });
      // That of a beginning that failed is not the error to tell.
      answer.catch(() => undefined);
    });
    return answer ?? ask(link);
  }

  #begin(sendAlong: (link: Link) => void): Promise<Link> {
    const { place, connect, begin } = this.#options;
    const begun = retry(whileLost(place), async () => {
      const link = await connect();
      const beginning = begin(link);
      sendAlong(link);
      await beginning;
      return link;
    });
    // Told to whoever waits for it.
    begun.catch(() => undefined);
    this.#begun = begun;
    return begun;
  }
}

/** Work of one store that runs one after the other. */
export class Turns {
  /** Settles, never rejects, when the last of them has ended. */
  #last: Promise<unknown> = Promise.resolve();

  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

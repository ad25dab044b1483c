import { Link, type Place } from "./link.ts";

/** A connection that is opened when it is first needed, and again when it was lost. */
export class Source {
  readonly #place: Place;
  readonly #settings: string;
  #opening: Promise<Link> | undefined;
  #current: Link | undefined;

  /** @param settings - SQL for each connection. */
  constructor(place: Place, settings: string) {
    this.#place = place;
    this.#settings = settings;
  }

  /** The connection; those who ask at once get the same. */
  get(): Promise<Link> {
    if (this.#opening === undefined || this.#current?.lost === true) {
      this.#current = undefined;
      const opening = Link.open(this.#place, this.#settings);
      this.#opening = opening;
      opening.then(
        (link) => {
          this.#current = link;
        },
        () => {
          this.#opening = undefined;
        },
      );
    }
    return this.#opening;
  }

  async close(): Promise<void> {
    const link = await this.#opening?.catch(() => undefined);
    await link?.close();
  }
}

import { type Bytes, CryptoError, utf8 } from "@lango/crypto-core";
import { Matches } from "./matches.ts";
import type { SecretIndex } from "./secret-index.ts";
import { Text } from "./text.ts";

/** In place of a mask that would show a secret. Shorter than any pattern, so that it cannot hold one. */
const NAMELESS = "[***]";
const NAME = /^[A-Za-z0-9._/:-]{1,256}$/;

/** @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for a name that would not read well in a mask. */
export const checkMaskName = (name: unknown): void => {
  // The name is not repeated: people paste values where names belong.
  if (typeof name === "string" && NAME.test(name)) return;
  throw new CryptoError(
    "ERR_INVALID_ARGUMENT",
    "A secret's name has 1 to 256 characters of [A-Za-z0-9._/:-]",
  );
};

/** Makes `[SECRET:name]`, or `[***]` where that text itself holds a form of some secret. */
export class MaskTokens {
  readonly #index: SecretIndex;
  readonly #known = new Map<string, Bytes>();

  constructor(index: SecretIndex) {
    this.#index = index;
  }

  get(name: string): Bytes {
    let token = this.#known.get(name);
    if (token === undefined) {
      token = utf8(`[SECRET:${name}]`);
      if (this.#showsSecret(token)) token = utf8(NAMELESS);
      this.#known.set(name, token);
    }
    return token;
  }

  /** To be called when secrets have changed. */
  clear(): void {
    this.#known.clear();
  }

  #showsSecret(token: Bytes): boolean {
    const text = new Text();
    text.set(token, new Uint8Array());
    const found = new Matches();
    this.#index.find(text, text.survey(0), 0, text.length, found);
    return found.count > 0;
  }
}

import type { StreamMasker } from "./masker.ts";
import type { TerminalMasker } from "./types.ts";

/** What was typed longer ago than this is forgotten, so that few texts are echoes by chance. */
const MAX_TYPED = 1024;
/** So many characters of a form, which has at least 6, may be shown before a movement of the cursor. */
const MAX_BEFORE_MOVE = 3;

// Control sequences of a terminal (ECMA-48 §5.4), and the choice of a character set.
// biome-ignore lint/suspicious/noControlCharactersInRegex: this is what a sequence begins with
const SEQUENCE = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[()][0-9A-Z])/g;
/** Sequences at the end of a text, and among them one that puts the cursor elsewhere: CUU to CHA, CUP, VPA, HVP. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const MOVES_AT_END = /\x1b\[[0-9;]*[A-Hdf](?:\x1b(?:\[[0-?]*[ -/]*[@-~]|[()][0-9A-Z]))*$/;

/** See `createTerminalMasker`. */
export class ScreenMasker implements TerminalMasker {
  readonly #masker: StreamMasker;
  /** The line that is being typed and the one before it, whose echo may be on its way, as Latin-1. */
  #typed = "";

  constructor(masker: StreamMasker) {
    this.#masker = masker;
  }

  get heldBytes(): number {
    return this.#masker.heldBytes;
  }

  typed(bytes: Uint8Array): void {
    const lines = (this.#typed + latin1(bytes)).split(/[\r\n]/);
    this.#typed = lines.slice(-2).join("\r").slice(-MAX_TYPED);
  }

  write(chunk: Uint8Array): readonly Uint8Array[] {
    const pieces = this.#masker.write(chunk);
    const { held } = this.#masker;
    if (held === undefined || !this.#mayShow(latin1(held.bytes), held.shown)) return pieces;
    return [...pieces, ...this.#masker.show()];
  }

  end(): readonly Uint8Array[] {
    return this.#masker.end();
  }

  #mayShow(held: string, shown: number): boolean {
    // Not used up by its first echo: editors of lines paint what was typed again with every key.
    const fresh = textOf(held.slice(shown));
    if (fresh !== undefined && this.#typed.includes(fresh)) return true;
    const text = textOf(held);
    return text !== undefined && text.length <= MAX_BEFORE_MOVE && MOVES_AT_END.test(held);
  }
}

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");

/** The text without its sequences; `undefined` while one has not ended. */
const textOf = (written: string): string | undefined => {
  const text = written.replaceAll(SEQUENCE, "");
  return text.includes("\x1b") ? undefined : text;
};

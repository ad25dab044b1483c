import { unmaskedReason } from "./assess.ts";
import { Beginnings } from "./beginnings.ts";
import { ByteSink } from "./byte-sink.ts";
import { eachForm, type Form } from "./forms.ts";
import { GramTable, windowOf } from "./gram-table.ts";
import { hashWords } from "./grams.ts";
import type { Matches } from "./matches.ts";
import { partsOf } from "./parts.ts";
import { PatternStore } from "./pattern-store.ts";
import { ESCAPES_MARK, HTML_MARK, HTML_SIGN, hasEscapes } from "./survey.ts";
import type { Text } from "./text.ts";
import type { FormName, UnmaskedReason } from "./types.ts";

/** In these forms a few characters fill a gram of 8 bytes and tell little. Texts without the mark are passed over. */
const WORDY_MARKS = [ESCAPES_MARK, HTML_MARK] as const;

const BACKSLASH = 0x5c;
const HASH = 0x23;
const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

interface Secret {
  readonly name: string;
  readonly patterns: number[];
}

/** All forms of all secrets, and how to find them in a text. It changes in small steps and is whole after each. */
export class SecretIndex {
  readonly #patterns = new PatternStore();
  /** What every form is written into, one after another. */
  readonly #sink = new ByteSink();
  readonly #beginnings: Beginnings = new Beginnings(this.#patterns);
  readonly #threes: GramTable = new GramTable(this.#patterns, 3);
  readonly #fours: GramTable = new GramTable(this.#patterns, 4);
  readonly #eights: GramTable = new GramTable(this.#patterns, 8);
  readonly #sixteens: readonly GramTable[] = WORDY_MARKS.map(
    () => new GramTable(this.#patterns, 16),
  );
  /** By the number that patterns have as their owner. */
  readonly #secrets: (Secret | undefined)[] = [];
  readonly #freeOwners: number[] = [];
  readonly #ownerOf = new Map<string, number>();
  /** Further owners of patterns that several secrets have, such as two with one value. */
  readonly #sharers = new Map<number, number[]>();

  get longest(): number {
    return this.#beginnings.longest;
  }

  get secretCount(): number {
    return this.#ownerOf.size;
  }

  name(id: number): string {
    return this.#secrets[this.#patterns.owner(id)]!.name;
  }

  form(id: number): FormName {
    return this.#patterns.form(id);
  }

  /** Enters a secret in place of the one with its name, in slices. Returns why not, if it cannot be masked. */
  *set(name: string, value: Uint8Array): Generator<undefined, UnmaskedReason | undefined> {
    const before = this.#ownerOf.get(name);
    const reason = unmaskedReason(value);
    if (reason === undefined) {
      const owner = this.#freeOwners.pop() ?? this.#secrets.length;
      this.#secrets[owner] = { name, patterns: [] };
      this.#ownerOf.set(name, owner);
      for (const part of partsOf(value)) {
        const fresh: number[] = [];
        eachForm(
          part,
          (form) => {
            const id = this.#own(owner, form);
            if (id !== undefined) fresh.push(id);
          },
          this.#sink,
        );
        this.#sink.clear();
        for (const id of fresh) {
          const bytes = this.#patterns.bytes(id);
          const table = this.#tableFor(bytes);
          if (table.isFull) yield* table.grow();
          this.#patterns.setSlot(id, table.add(id, bytes));
        }
        yield;
      }
    } else this.#ownerOf.delete(name);
    // Only now, so that what both values have in common was never unknown.
    if (before !== undefined) this.#drop(before);
    return reason;
  }

  delete(name: string): void {
    const owner = this.#ownerOf.get(name);
    if (owner === undefined) return;
    this.#ownerOf.delete(name);
    this.#drop(owner);
  }

  /**
   * Adds all patterns that lie whole in `text` between `from`, a multiple of 8, and `to`.
   *
   * @param marks - What the survey of the text found.
   */
  find(text: Text, marks: number, from: number, to: number, found: Matches): void {
    const { list: hits, count } = text.sweep(from, to, this.#eights.bits, this.#fours.bits);
    for (let i = 0; i < count; i++) {
      const at = hits[i]! & ~1;
      const table = at === hits[i] ? this.#eights : this.#fours;
      table.verify(text, at, hashWords(table.gram, text.words, at >> 2), from, to, found);
    }
    if (!this.#threes.isEmpty) this.#threes.find(text, from, to, found);
    for (const [i, mark] of WORDY_MARKS.entries()) {
      if ((marks & mark) !== 0) this.#sixteens[i]!.find(text, from, to, found);
    }
  }

  /** See {@link Beginnings.holdPoint}. */
  holdPoint(text: Text): number {
    return this.#beginnings.holdPoint(text);
  }

  close(): void {
    this.#patterns.close();
  }

  /** Makes `owner` an owner of a pattern. Returns the id of a new one, which is not yet to be found. */
  #own(owner: number, { bytes, form, caseCounts }: Form): number | undefined {
    const { patterns } = this.#secrets[owner]!;
    const known = this.#beginnings.find(bytes, caseCounts);
    if (known === undefined) {
      const id = this.#patterns.add(bytes, owner, form, caseCounts);
      this.#beginnings.add(id);
      patterns.push(id);
      return id;
    }
    if (!this.#ownersOf(known).includes(owner)) {
      patterns.push(known);
      this.#sharers.set(known, [...(this.#sharers.get(known) ?? []), owner]);
    }
    return undefined;
  }

  #tableFor(pattern: Uint8Array): GramTable {
    if (pattern.length >= windowOf(16)) {
      if (pattern.includes(BACKSLASH) && hasEscapes(asBuffer(pattern))) return this.#sixteens[0]!;
      if (pattern.includes(HASH) && asBuffer(pattern).includes(HTML_SIGN)) {
        return this.#sixteens[1]!;
      }
    }
    if (pattern.length >= windowOf(8)) return this.#eights;
    return pattern.length >= windowOf(4) ? this.#fours : this.#threes;
  }

  #drop(owner: number): void {
    for (const id of this.#secrets[owner]!.patterns) this.#disown(id, owner);
    this.#secrets[owner] = undefined;
    this.#freeOwners.push(owner);
  }

  #disown(id: number, owner: number): void {
    const [first, ...others] = this.#ownersOf(id).filter((other) => other !== owner);
    if (first === undefined) {
      this.#remove(id);
      return;
    }
    this.#patterns.setOwner(id, first);
    if (others.length > 0) this.#sharers.set(id, others);
    else this.#sharers.delete(id);
  }

  #ownersOf(id: number): number[] {
    return [this.#patterns.owner(id), ...(this.#sharers.get(id) ?? [])];
  }

  #remove(id: number): void {
    const slot = this.#patterns.slot(id);
    if (slot !== undefined) this.#tableFor(this.#patterns.bytes(id)).remove(slot);
    this.#beginnings.remove(id);
    this.#patterns.remove(id);
  }
}

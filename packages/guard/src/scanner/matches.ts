import type { SeenThrough } from "./see-through.ts";

/** Occurrences of patterns in a text: where each begins and ends, and which pattern it is. */
export class Matches {
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  readonly ids: number[] = [];

  add(start: number, end: number, id: number): void {
    this.starts.push(start);
    this.ends.push(end);
    this.ids.push(id);
  }

  get count(): number {
    return this.starts.length;
  }

  clear(): void {
    this.starts.length = 0;
    this.ends.length = 0;
    this.ids.length = 0;
  }

  /** Gives the matches from number `first` on the places that they have in the original of what was seen. */
  translate(first: number, seen: SeenThrough): void {
    for (let i = first; i < this.count; i++) {
      this.starts[i] = seen.position(this.starts[i]!);
      this.ends[i] = seen.position(this.ends[i]! - 1) + 1;
    }
  }

  /** Their positions in the three lists, by where they begin. */
  inOrder(): readonly number[] {
    if (this.count === 0) return [];
    return this.starts.map((_, i) => i).sort((a, b) => this.starts[a]! - this.starts[b]!);
  }
}

import type { Finding, Scanner } from "@lango/guard";

/** A place where a secret stands, without its value. */
export interface Place extends Finding {
  /** From 1. */
  readonly line: number;
}

/** A place in a file, or in standard input, which is `-`. */
export interface FilePlace extends Place {
  readonly path: string;
}

const LF = 0x0a;

/** Looks for secrets in a stream of bytes of any size, in constant memory but for what is found. */
export async function scanStream(
  scanner: Scanner,
  chunks: AsyncIterable<Uint8Array>,
  onBytes: (count: number) => void,
): Promise<Place[]> {
  const places: Place[] = [];
  const lines = new Lines();
  const masker = scanner.createMasker({
    onFinding: (finding) => places.push({ ...finding, line: lines.at(finding.offset) }),
  });
  for await (const chunk of chunks) {
    lines.add(chunk);
    masker.write(chunk);
    onBytes(chunk.length);
  }
  masker.end();
  return places;
}

/** How far a finding may lie behind what was read last; one that spans more has the line at the end of this. */
const LOOK_BACK = 4 * 1024 * 1024;

/** Counts lines, for places that come in order. */
class Lines {
  #read = 0;
  /** Line breaks that no place has passed yet. */
  #breaks: number[] = [];
  #passed = 0;
  #line = 1;

  add(chunk: Uint8Array): void {
    this.#pass(this.#read - LOOK_BACK);
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, at + 1)) {
      this.#breaks.push(this.#read + at);
    }
    this.#read += chunk.length;
  }

  at(offset: number): number {
    this.#pass(offset);
    return this.#line;
  }

  #pass(offset: number): void {
    while (this.#passed < this.#breaks.length && this.#breaks[this.#passed]! < offset) {
      this.#passed += 1;
      this.#line += 1;
    }
    if (this.#passed > 65_536) {
      this.#breaks = this.#breaks.slice(this.#passed);
      this.#passed = 0;
    }
  }
}

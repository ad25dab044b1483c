import type { Place } from "./scan-stream.ts";

/** A place in a file, or in standard input, which is `-`. */
export interface FilePlace extends Place {
  readonly path: string;
}

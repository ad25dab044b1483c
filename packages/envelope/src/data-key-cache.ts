import type { DataKey } from "./data-key.ts";

export interface DataKeyCacheOptions {
  readonly maxAgeMs: number;
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly maxEntries: number;
  readonly load: (partition: string, id: string, signal: AbortSignal) => Promise<DataKey>;
  /** Milliseconds on a clock that does not jump. Default: `performance.now`. */
  readonly clock?: () => number;
}
export interface DataKeyUse {
  readonly signal?: AbortSignal | undefined;
  /** Bytes that will be sealed or opened, counted against `maxBytes`. Default 0. */
  readonly bytes?: number | undefined;
}
export interface DataKeyCache {
  get(partition: string, id: string, use?: DataKeyUse): Promise<DataKey>;
  close(): void;
}
export const createDataKeyCache = (_options: DataKeyCacheOptions): DataKeyCache => {
  throw new Error("soon");
};

import type { Unlocker, UnlockOptions } from "./types.ts";

export function createUnlocker(options: UnlockOptions): Unlocker {
  throw new Error(`not yet: ${options.home}`);
}

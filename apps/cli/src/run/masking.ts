import type { Scanner } from "@lango/guard";
import type { Vault } from "@lango/vault";
import type { Context } from "../cli/context.ts";
import { loadScanner } from "../scan/load-scanner.ts";

/** The scanner that an output waits for. */
export interface Masking {
  /** Resolves when every secret is known. Until then nothing of the output goes out. */
  scanner(): Promise<Scanner>;
  /** Resolves when there is a scanner, or never will be. */
  readonly loaded: Promise<void>;
  /** Ends the loading if it is still under way. Resolves when the vault may be closed. */
  stop(): Promise<void>;
}

/** A command that ends without output before this needs no scanner. */
const BEGIN_AFTER_MS = 100;

/**
 * Loads every secret of the vault into a scanner, in slices between which the command runs: from its first output on, or
 * soon after its start.
 */
export function startMasking(context: Context, vault: Vault): Masking {
  const stopping = new AbortController();
  const { promise: loaded, resolve: end } = Promise.withResolvers<void>();
  let loading: Promise<Scanner> | undefined;
  const begin = (): Promise<Scanner> => {
    if (loading === undefined) {
      loading = loadScanner(context, vault, stopping.signal);
      // Whoever waits for the scanner is told why there is none; nobody may be.
      loading.then(
        () => end(),
        () => end(),
      );
    }
    return loading;
  };
  const timer = setTimeout(begin, BEGIN_AFTER_MS);
  return {
    scanner: begin,
    loaded,
    stop() {
      clearTimeout(timer);
      stopping.abort();
      if (loading === undefined) end();
      return loaded;
    },
  };
}

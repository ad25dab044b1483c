import type { Scanner } from "@lango/guard";
import type { Vault } from "@lango/vault";
import type { Context } from "../cli/context.ts";
import { loadScanner } from "../scan/load-scanner.ts";

/** The scanner that an output waits for. */
export interface Masking {
  /** Resolves when every secret is known. Until then nothing of the output goes out. */
  readonly ready: Promise<Scanner>;
  /** Resolves when it is ready, or never will be. */
  readonly loaded: Promise<void>;
  /** Ends the loading if it is still under way. Resolves when the vault may be closed. */
  stop(): Promise<void>;
}

/** Begins to load every secret of the vault into a scanner, in slices between which the command runs. */
export function startMasking(context: Context, vault: Vault): Masking {
  const stopping = new AbortController();
  const ready = loadScanner(context, vault, stopping.signal);
  // Whoever waits for the scanner is told why there is none; nobody may be.
  const loaded = ready.then(
    () => {},
    () => {},
  );
  return {
    ready,
    loaded,
    stop() {
      stopping.abort();
      return loaded;
    },
  };
}

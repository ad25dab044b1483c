import { zero } from "@lango/crypto-core";
import { createScanner, type Scanner, type SecretValue } from "@lango/guard";
import type { Vault } from "@lango/vault";
import type { Context } from "../cli/context.ts";

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
export async function startMasking(context: Context, vault: Vault): Promise<Masking> {
  const stopping = new AbortController();
  // Committed before the first value is read, and before the command starts.
  const { values } = await vault.secrets.loadAll();
  const failed: string[] = [];
  async function* secrets(): AsyncGenerator<SecretValue> {
    for await (const secret of values) {
      stopping.signal.throwIfAborted();
      if (secret.value === undefined) {
        failed.push(secret.name);
        continue;
      }
      yield secret;
      zero(secret.value);
    }
  }
  const ready = createScanner({ secrets: secrets(), signal: stopping.signal }).then((scanner) => {
    for (const name of failed) context.warn(`${name} does not open, so it is not masked`);
    return scanner;
  });
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

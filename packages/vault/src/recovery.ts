import { CryptoError, isUnavailable } from "@lango/crypto-core";

/** Notices that a provider answers, and has it wrap what was sealed without it. */
export interface Recovery {
  /** Passes a call to a provider of this scheme through. */
  watch<T>(scheme: string, call: Promise<T>): Promise<T>;
  /** Something was sealed without the provider: its next answer counts, even if it gave one since it could not be reached. */
  fellBack(scheme: string): void;
  /** Waits up to 2 s for what is under way, then ends it. Never rejects. */
  close(): Promise<void>;
}

export interface RecoveryOptions {
  /** Has the provider of a scheme wrap the degraded data keys of its keys. */
  readonly rewrap: (scheme: string, signal: AbortSignal) => Promise<unknown>;
  /** Hears of what failed for another reason than that the provider is gone again. Never rejects. */
  readonly note: (error: unknown) => Promise<void>;
}

const CLOSE_MS = 2_000;

export const createRecovery = ({ rewrap, note }: RecoveryOptions): Recovery => {
  const stop = new AbortController();
  /** Schemes for which nothing is to be done until they cannot be reached again. */
  const settled = new Set<string>();
  const underWay = new Set<Promise<void>>();

  const recover = async (scheme: string): Promise<void> => {
    try {
      await rewrap(scheme, stop.signal);
    } catch (error) {
      if (isUnavailable(error)) settled.delete(scheme);
      else if (!stop.signal.aborted) await note(error);
    }
  };

  const answered = (scheme: string): void => {
    if (settled.has(scheme)) return;
    settled.add(scheme);
    // Nobody waits for it but closing.
    const run = recover(scheme).finally(() => underWay.delete(run));
    underWay.add(run);
  };

  return {
    async watch(scheme, call) {
      try {
        const result = await call;
        answered(scheme);
        return result;
      } catch (error) {
        if (isUnavailable(error)) settled.delete(scheme);
        throw error;
      }
    },
    fellBack: (scheme) => void settled.delete(scheme),
    async close() {
      const message = "The vault was closed before its data keys were wrapped again";
      const late = (): void => stop.abort(new CryptoError("ERR_CLOSED", message));
      const deadline = setTimeout(late, CLOSE_MS);
      await Promise.all(underWay);
      clearTimeout(deadline);
    },
  };
};

import { setTimeout as sleep } from "node:timers/promises";
import { isBusy } from "./sqlite-errors.ts";

const FIRST_DELAY_MS = 2;
const MAX_DELAY_MS = 50;

/**
 * Tries `attempt` until it is not busy or the time is up, then rethrows its error. SQLite's own busy timeout would block
 * the event loop, so it is 0 and the waiting happens here.
 */
export const retryBusy = <T>(timeoutMs: number, attempt: () => T): Promise<T> =>
  retry({ timeoutMs, isPassing: isBusy, maxDelayMs: MAX_DELAY_MS }, attempt);

export interface RetryOptions {
  readonly timeoutMs: number;
  /** Tells whether an error may go away by itself. */
  readonly isPassing: (error: unknown) => boolean;
  readonly maxDelayMs: number;
}

/** A clock that only goes forward. Not `performance`: naming it loads a module, which every opening would pay for. */
const nowMs = (): number => Number(process.hrtime.bigint() / 1_000_000n);

/** Tries again until the time is up. Full jitter keeps processes from meeting again and again. */
export async function retry<T>(options: RetryOptions, attempt: () => T | Promise<T>): Promise<T> {
  const { timeoutMs, isPassing, maxDelayMs } = options;
  const deadline = nowMs() + timeoutMs;
  for (let cap = FIRST_DELAY_MS; ; cap = Math.min(cap * 2, maxDelayMs)) {
    try {
      return await attempt();
    } catch (error) {
      if (!isPassing(error) || nowMs() >= deadline) throw error;
    }
    await sleep(Math.random() * cap);
  }
}

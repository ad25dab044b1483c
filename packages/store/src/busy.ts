import { setTimeout as sleep } from "node:timers/promises";
import { isBusy } from "./sqlite-errors.ts";

const FIRST_DELAY_MS = 2;
const MAX_DELAY_MS = 50;

/**
 * Tries `attempt` until it is not busy or the time is up, then rethrows its error. SQLite's own busy timeout would block
 * the event loop, so it is 0 and the waiting happens here; full jitter keeps processes from meeting again and again.
 */
export async function retryBusy<T>(timeoutMs: number, attempt: () => T): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (let cap = FIRST_DELAY_MS; ; cap = Math.min(cap * 2, MAX_DELAY_MS)) {
    try {
      return attempt();
    } catch (error) {
      if (!isBusy(error) || performance.now() >= deadline) throw error;
    }
    await sleep(Math.random() * cap);
  }
}

import { Interrupted } from "./failure.ts";

/** Runs work that must clean up behind itself when it is interrupted: the first signal aborts it, a second one kills. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const abort = (signal: "SIGINT" | "SIGTERM"): void => {
    removeListeners();
    controller.abort(new Interrupted(signal));
  };
  const removeListeners = (): void => {
    process.removeListener("SIGINT", abort);
    process.removeListener("SIGTERM", abort);
  };
  process.once("SIGINT", abort);
  process.once("SIGTERM", abort);
  try {
    return await work(controller.signal);
  } finally {
    removeListeners();
  }
}

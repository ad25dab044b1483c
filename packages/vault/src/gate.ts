import { CryptoError } from "@lango/crypto-core";

/** Counts the calls under way, so that closing waits for them and later ones are refused. */
export interface Gate {
  /** Runs a call. @throws {@link CryptoError} `ERR_CLOSED` after `close`. */
  run<T>(call: () => Promise<T>): Promise<T>;
  /** @throws {@link CryptoError} `ERR_CLOSED` after `close`. */
  check(): void;
  /** Lets no new call in and resolves when the last one has ended. */
  close(): Promise<void>;
}

export interface GateOptions {
  /** What is thrown in the place of the error of a call. Default: that error. */
  readonly explain?: (error: unknown) => Promise<unknown>;
  /** Runs before each call, and is waited for if it gives something to wait for. */
  readonly before?: () => Promise<void> | undefined;
}

export const createGate = (what: string, { explain, before }: GateOptions = {}): Gate => {
  let closed = false;
  let underWay = 0;
  const waiting: (() => void)[] = [];

  const check = (): void => {
    if (closed) throw new CryptoError("ERR_CLOSED", `${what} is closed`);
  };
  return {
    check,
    async run(call) {
      check();
      underWay += 1;
      try {
        const first = before?.();
        if (first !== undefined) await first;
        return await call();
      } catch (error) {
        throw explain ? await explain(error) : error;
      } finally {
        underWay -= 1;
        if (underWay === 0) for (const resume of waiting.splice(0)) resume();
      }
    },
    async close() {
      closed = true;
      if (underWay > 0) await new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
};

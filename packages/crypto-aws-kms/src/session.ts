import { CryptoError, type Operation, raceSignal } from "@lango/crypto-core";
import type { Calls, LazyClient } from "./client.ts";
import { isExpired, mapError } from "./errors.ts";

/** What every operation goes through. */
export interface Session {
  /**
   * Runs an operation: refused after `close`, ended by its signal also while credentials are fetched (bytes that come later
   * are zeroed), its errors our own.
   */
  run<T>(operation: Operation, request: Scope, body: () => Promise<T>): Promise<T>;
  /** One call of the service; repeated once, with fresh credentials, where the old ones have expired. */
  send<N extends keyof Calls>(
    name: N,
    input: Calls[N][0],
    signal?: AbortSignal,
  ): Promise<Calls[N][1]>;
  /** The region that the client is for. */
  region(): Promise<string>;
  close(): Promise<void>;
}

/** What of a request concerns its way rather than its work. */
export interface Scope {
  readonly keyId?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A session over a client. */
export function createSession(client: LazyClient): Session {
  let closed = false;
  return {
    async run(operation, { keyId, signal }, body) {
      if (closed) {
        throw new CryptoError("ERR_CLOSED", "aws-kms is closed", {
          context: { provider: "aws-kms", operation },
        });
      }
      try {
        return await raceSignal(signal, body);
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        throw mapError(error, operation, keyId);
      }
    },
    async send(name, input, signal) {
      try {
        return await client.send(name, input, signal);
      } catch (error) {
        if (!isExpired(error)) throw error;
        // What the SDK remembers may have been revoked before its own time.
        const { config } = await client.get();
        await config.credentials?.({ forceRefresh: true });
        signal?.throwIfAborted();
        return await client.send(name, input, signal);
      }
    },
    region: async () => (await client.get()).config.region(),
    async close() {
      if (closed) return;
      closed = true;
      client.destroy();
    },
  };
}

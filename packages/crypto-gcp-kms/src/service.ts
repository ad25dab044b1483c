import { type CallOptions, CryptoError, type Operation, raceSignal } from "@lango/crypto-core";
import { IntegrityMismatch } from "./checksum.ts";
import type { GcpKmsClient, InnerCall, Method, RequestOf, ResponseOf } from "./client.ts";
import type { Connection } from "./connection.ts";
import {
  credentialsError,
  type ErrorScope,
  integrityError,
  statusOf,
  toProviderError,
  UNAUTHENTICATED,
} from "./errors.ts";
import { type KeyName, readKeyId } from "./names.ts";

/** As long as the SDK gives a call. */
const DEFAULT_TIMEOUT_MS = 60_000;

/** One operation on its way: what its errors name, and when it ends. */
export interface Scope extends ErrorScope {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that are left; at least 1. */
  remainingMs(): number;
}

/** Calls of Cloud KMS with our errors. */
export interface Service {
  /** Runs an operation: `ERR_CLOSED` after close, `signal.reason` at an abort, its time shared by all of its calls. */
  run<T>(
    operation: Operation,
    request: CallOptions & { readonly keyId?: string | undefined },
    work: (scope: Scope) => Promise<T>,
  ): Promise<T>;
  /** Makes one call; rejects with a `CryptoError` or an `IntegrityMismatch`. */
  call<M extends Method>(method: M, request: RequestOf<M>, scope: Scope): Promise<ResponseOf<M>>;
  /** One page of a listing, and the token of the next. */
  pages<M extends "listCryptoKeys" | "listCryptoKeyVersions">(
    method: M,
    parent: string,
    scope: Scope,
    pageToken?: string,
  ): Promise<{ readonly items: ResponseOf<M>; readonly next: string | undefined }>;
  /** Reads the key id of a request; see `readKeyId`. */
  keyOf(keyId: string): KeyName;
  close(): Promise<void>;
}

interface ServiceOptions {
  readonly connection: Connection;
  readonly ring: string | undefined;
  readonly places: ReadonlySet<string>;
}

/** Puts the connection, the errors and the time of an operation together. */
export const createService = ({ connection, ring, places }: ServiceOptions): Service => {
  let closing: Promise<void> | undefined;

  const connected = async (scope: Scope): Promise<GcpKmsClient> => {
    try {
      return await connection.client();
    } catch (error) {
      throw credentialsError(error, scope);
    }
  };

  const send = async <M extends Method>(
    client: GcpKmsClient,
    method: M,
    request: RequestOf<M>,
    scope: Scope,
  ) => {
    const inner = client.innerApiCalls[method] as InnerCall<M>;
    return await inner(request, {
      timeout: scope.remainingMs(),
      // Retries are those of createResilientProvider: two layers would multiply.
      retry: null,
      autoPaginate: false,
      ...(scope.signal !== undefined && { signal: scope.signal }),
      otherArgs: { headers: { "x-goog-request-params": routingOf(request) } },
    });
  };

  const exchange = async <M extends Method>(method: M, request: RequestOf<M>, scope: Scope) => {
    for (let attempt = 0; ; attempt++) {
      scope.signal?.throwIfAborted();
      const client = await connected(scope);
      scope.signal?.throwIfAborted();
      try {
        return await send(client, method, request, scope);
      } catch (error) {
        // A token that has run out is not refused twice; nothing was done, so even createKey may be sent again.
        const refused = statusOf(error) === UNAUTHENTICATED && attempt === 0;
        if (refused && (await connection.renew(client))) continue;
        throw toProviderError(error, scope);
      }
    }
  };

  return {
    async run(operation, request, work) {
      const { signal, timeoutMs = DEFAULT_TIMEOUT_MS, keyId } = request;
      if (closing !== undefined) {
        throw new CryptoError("ERR_CLOSED", "gcp-kms is closed", {
          context: { provider: "gcp-kms", operation },
        });
      }
      const endsAt = performance.now() + timeoutMs;
      const remainingMs = (): number => Math.max(1, Math.ceil(endsAt - performance.now()));
      const scope: Scope = { operation, keyId, signal, remainingMs };
      return await raceSignal(signal, async () => {
        try {
          return await work(scope);
        } catch (error) {
          throw error instanceof IntegrityMismatch ? integrityError(error, scope) : error;
        }
      });
    },
    async call(method, request, scope) {
      return (await exchange(method, request, scope))[0];
    },
    async pages(method, parent, scope, pageToken) {
      const request = { parent, pageSize: 1000, ...(pageToken !== undefined && { pageToken }) };
      const [items, next] = await exchange(method, request, scope);
      return { items, next: next?.pageToken || undefined };
    },
    keyOf: (keyId) => readKeyId(keyId, ring, places),
    close() {
      closing ??= connection.close();
      return closing;
    },
  };
};

/** The service finds the key's region by this header, which the SDK's own methods would set. */
const routingOf = (request: object): string => {
  for (const field of ["name", "parent", "location"]) {
    const value = (request as Readonly<Record<string, unknown>>)[field];
    if (typeof value === "string") return `${field}=${encodeURIComponent(value)}`;
  }
  return "";
};

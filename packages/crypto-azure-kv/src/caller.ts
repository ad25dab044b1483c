import {
  type CallOptions,
  type CryptoError,
  isBytes,
  type Operation,
  raceSignal,
  zero,
} from "@lango/crypto-core";
import type {
  AzureCallOptions,
  AzureCredential,
  AzureCryptographyClient,
  AzureKvClient,
} from "./client.ts";
import { isRefusedToken, toAzureKvError } from "./errors.ts";
import { createKeyCache } from "./key-cache.ts";
import { formatKeyId, type KeyRef, parseKeyId } from "./key-id.ts";
import { checkKid, fail, type KeyVersion, readKey } from "./keys.ts";
import { type AzurePipelineOptions, loadClient } from "./sdk.ts";
import type { Vault } from "./vault-url.ts";

/** Clients of key versions kept: each one asks for its own challenge once. */
const MAX_CLIENTS = 64;
const READ_TIMEOUT_MS = 10_000;

/** One call of an operation, with the connections that it needs. */
export interface Call {
  readonly operation: Operation;
  /** Asks the service about keys. Errors are mapped. */
  keys<T>(
    run: (client: AzureKvClient["keys"], options: AzureCallOptions) => Promise<T>,
    keyId?: string,
  ): Promise<T>;
  /** Maps errors, and does nothing else. */
  once<T>(run: () => Promise<T>): Promise<T>;
  /** Lets the service compute with one version of a key, and checks that this one did. Errors are mapped. */
  compute<T extends Uint8Array | boolean>(
    key: { readonly name: string; readonly version: string },
    run: (client: AzureCryptographyClient, options: AzureCallOptions) => Promise<{ result: T }>,
    namesItsKey?: boolean,
  ): Promise<T>;
  /** Reads a key from the service. */
  read(ref: KeyRef): Promise<KeyVersion>;
  /** Uses what is known of a key; see `KeyCache`. */
  use<T>(ref: KeyRef, use: (key: KeyVersion) => Promise<T>): Promise<T>;
  /** Remembers what was read. */
  keep(ref: KeyRef, key: KeyVersion): void;
}

export interface Caller {
  readonly vault: Vault;
  /** Runs one operation: checks that the provider is open, and lets an abort end it at once. */
  run<T>(operation: Operation, request: CallOptions, body: (call: Call) => Promise<T>): Promise<T>;
  parse(keyId: string): KeyRef;
  close(): Promise<void>;
}

export interface CallerOptions {
  readonly client?: AzureKvClient;
  readonly credential?: AzureCredential;
  readonly pipeline?: AzurePipelineOptions;
  readonly keyCacheMs?: number;
}

/** The client, and those that it made for versions of keys. */
interface Connection {
  readonly client: AzureKvClient;
  readonly computing: Map<string, AzureCryptographyClient>;
}

export function createCaller(vault: Vault, options: CallerOptions): Caller {
  const cache = createKeyCache(options.keyCacheMs ?? 60_000);
  let closed = false;
  let connection: Promise<Connection> | undefined;

  const connect = (): Promise<Connection> => {
    if (connection !== undefined) return connection;
    const { client, credential, pipeline } = options;
    const opening = (
      client ? Promise.resolve(client) : loadClient({ vault, credential, pipeline })
    ).then((made) => ({ client: made, computing: new Map() }));
    connection = opening;
    // A failure is not remembered: what was missing may be there next time.
    opening.catch(() => {
      if (connection === opening) connection = undefined;
    });
    return opening;
  };

  /** Once more after a 401, with clients that know no token: the SDK sends the one that it remembers again. */
  const authenticated = async <T>(run: (connection: Connection) => Promise<T>): Promise<T> => {
    const first = connect();
    try {
      return await run(await first);
    } catch (error) {
      if (!isRefusedToken(error) || options.client !== undefined) throw error;
      if (connection === first) connection = undefined;
    }
    return await run(await connect());
  };

  const callOf = (operation: Operation, { signal }: CallOptions): Call => {
    const abort: AzureCallOptions = signal === undefined ? {} : { abortSignal: signal };
    const mapErrors = async <T>(run: () => Promise<T>, keyId?: string): Promise<T> => {
      try {
        return await run();
      } catch (error) {
        throw toAzureKvError(error, operation, keyId);
      }
    };
    const call: Call = {
      operation,
      keys: (run, keyId) =>
        mapErrors(() => authenticated(({ client }) => run(client.keys, abort)), keyId),
      once: (run) => mapErrors(run),
      async compute({ name, version }, run, namesItsKey = true) {
        let kid: unknown;
        const onResponse: AzureCallOptions["onResponse"] = ({ parsedBody }) => {
          kid = (parsedBody as { readonly kid?: unknown } | undefined)?.kid;
        };
        const { result } = await mapErrors(
          () =>
            authenticated((open) =>
              run(computingOf(open, vault, name, version), { ...abort, onResponse }),
            ),
          formatKeyId(vault, name),
        );
        if (!namesItsKey) return result;
        try {
          checkKid(vault, operation, { name, version }, kid);
        } catch (error) {
          // It may be a plaintext.
          if (isBytes(result)) zero(result);
          throw error;
        }
        return result;
      },
      read: (ref) =>
        call.keys(
          (keys, each) => readKey(keys, vault, operation, ref, each),
          formatKeyId(vault, ref.name),
        ),
      use: (ref, use) => cache.use(ref, () => readShared(operation, ref), use),
      keep: cache.keep,
    };
    return call;
  };

  /** Shared by the calls that wait for it, so it does not end with the abort or the time of one of them. */
  const readShared = async (operation: Operation, ref: KeyRef): Promise<KeyVersion> => {
    const signal = AbortSignal.timeout(READ_TIMEOUT_MS);
    try {
      return await raceSignal(signal, () => callOf(operation, { signal }).read(ref));
    } catch (error) {
      throw signal.aborted
        ? fail("ERR_TIMEOUT", "the key could not be read in time", operation)
        : error;
    }
  };

  const closedError = (operation: Operation): CryptoError =>
    fail("ERR_CLOSED", "the provider is closed", operation);

  return {
    vault,
    async run(operation, request, body) {
      if (closed) throw closedError(operation);
      return await raceSignal(request.signal, () => body(callOf(operation, request)));
    },
    parse: (keyId) => parseKeyId(vault, keyId),
    async close() {
      closed = true;
      connection = undefined;
      cache.clear();
    },
  };
}

function computingOf(
  { client, computing }: Connection,
  vault: Vault,
  name: string,
  version: string,
): AzureCryptographyClient {
  const id = `${formatKeyId(vault, name)}/${version}`;
  let found = computing.get(id);
  if (found === undefined) {
    found = client.cryptography({ id, name, properties: { name, vaultUrl: vault.origin } });
    computing.set(id, found);
    const [oldest] = computing.keys();
    if (computing.size > MAX_CLIENTS && oldest !== undefined) computing.delete(oldest);
  }
  return found;
}

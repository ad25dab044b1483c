import { setImmediate as nextTurn } from "node:timers/promises";
import type { googleAuthLibrary } from "google-gax";
import type { GcpKmsClient, GcpKmsTransport } from "./client.ts";

/** Where the service is and who asks, for a client that this package makes. */
export interface ConnectionSettings {
  /** `https://host[:port]`; `http://` for a loopback address alone. Default: `https://cloudkms.googleapis.com`. */
  readonly endpoint?: string | undefined;
  /** Default: `grpc`. */
  readonly transport?: GcpKmsTransport | undefined;
  /** Credentials in place of the Application Default Credentials. */
  readonly authClient?: googleAuthLibrary.AuthClient | undefined;
}

/** The client in use; the SDK is loaded and credentials are looked for at the first call. */
export interface Connection {
  /** The initialized client. Shared by calls at the same time; a failure is forgotten. */
  client(): Promise<GcpKmsClient>;
  /**
   * Forgets a client whose credentials the service refused, so that the next call reads them anew. `false` if the client
   * came from outside, where nothing can be renewed.
   */
  renew(refused: GcpKmsClient): Promise<boolean>;
  /** Closes a client that this package made. */
  close(): Promise<void>;
}

/** Uses a client from outside, which stays its owner's to close. */
export const useClient = (client: GcpKmsClient): Connection => {
  let ready: Promise<GcpKmsClient> | undefined;
  return {
    client() {
      ready ??= initialize(client).catch((error) => {
        ready = undefined;
        throw error;
      });
      return ready;
    },
    renew: async () => false,
    close: async () => {},
  };
};

/** Makes clients of the SDK. */
export const connect = (settings: ConnectionSettings): Connection => {
  let ready: Promise<GcpKmsClient> | undefined;
  return {
    client() {
      // A client that did not initialize stays so for ever: the next call makes another.
      ready ??= createClient(settings)
        .then(initialize)
        .catch((error) => {
          ready = undefined;
          throw error;
        });
      return ready;
    },
    async renew(refused) {
      // Unless another call, which was refused too, has renewed it already.
      if ((await ready?.catch(() => undefined)) === refused) {
        ready = undefined;
        await closeQuietly(refused);
      }
      return true;
    },
    async close() {
      const ending = ready?.then(closeQuietly, () => {});
      ready = undefined;
      // A search for credentials may take seconds; what it finds is closed then.
      await Promise.race([ending, nextTurn()]);
    },
  };
};

// Awaited before the first call, because the calls of the SDK leave a failure of it unhandled.
const initialize = async (client: GcpKmsClient): Promise<GcpKmsClient> => {
  await client.initialize();
  return client;
};

const closeQuietly = async (client: GcpKmsClient): Promise<void> => {
  try {
    await client.close();
  } catch {
    // It ends anyway; there is nothing left to lose.
  }
};

const createClient = async (settings: ConnectionSettings): Promise<GcpKmsClient> => {
  const { endpoint, transport = "grpc", authClient } = settings;
  const [{ KeyManagementServiceClient }, { googleAuthLibrary, grpc }] = await Promise.all([
    import("@google-cloud/kms"),
    import("google-gax"),
  ]);
  const url = endpoint === undefined ? undefined : new URL(endpoint);
  const plain = url?.protocol === "http:";
  // Nothing secret goes over a connection that is not encrypted: no credentials, whatever the environment has.
  const auth = plain ? new googleAuthLibrary.PassThroughClient() : authClient;
  return new KeyManagementServiceClient({
    fallback: transport === "rest",
    ...(url !== undefined && {
      apiEndpoint: url.hostname,
      port: Number(url.port || (plain ? 80 : 443)),
    }),
    ...(plain && { protocol: "http", sslCreds: grpc.credentials.createInsecure() }),
    ...(auth !== undefined && { authClient: auth }),
  }) as GcpKmsClient;
};

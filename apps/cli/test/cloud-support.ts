import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { join } from "node:path";
import {
  CLIENT,
  startStandIn as startKeyVault,
} from "../../../packages/crypto-azure-kv/test/stand-in/server.ts";
import { makeCertificate } from "../../../packages/crypto-azure-kv/test/stand-in/tls.ts";
import { Fault } from "../../../packages/crypto-gcp-kms/test/stand-in/resources.ts";
import { startStandIn as startCloudKms } from "../../../packages/crypto-gcp-kms/test/stand-in/server.ts";
import { type Door, openDoor } from "./provider-support.ts";

/** A cloud of our own making to which the vendor's SDK speaks, from a real command. */
export interface Cloud {
  /** `security` of config.json, with a key of the settings for providers that have one. */
  settings(kms?: object): object;
  /** What the command's environment has for the SDK. */
  readonly env: Readonly<Record<string, string>>;
  readonly door: Door;
  /** Makes an encryption key. Its short name and its URI as the vault keeps it. */
  createKey(): Promise<{ readonly named: string; readonly uri: string }>;
  /** Disables every version of a key, or enables them again. */
  enable(uri: string, enabled: boolean): void;
  /** Takes the version away that wrapped, while the key has another. */
  loseVersion(uri: string): Promise<void>;
  deny(): void;
  calm(): void;
  stop(): Promise<void>;
}

const RING = "projects/lango-test/locations/europe-west1/keyRings/slots";
let made = 0;
const newName = (): string => `k${++made}`;

/** Cloud KMS over gRPC, at `security.kms.endpoint`. */
export async function startGcp(): Promise<Cloud> {
  const standIn = await startCloudKms();
  const { resources, rules } = standIn;
  const door = await openDoor(Number(new URL(standIn.grpcUrl).port));
  const keyOf = (uri: string) => resources.key(uri.slice("gcp-kms:".length));
  return {
    // Google Cloud KMS is configured by the name of the provider alone.
    settings: (kms) => ({
      signer: { provider: "gcp-kms" },
      kms: { endpoint: door.url, timeoutPerOperation: "20s", maxRetries: 0, ...kms },
    }),
    env: {},
    door,
    async createKey() {
      const { name } = await resources.createKey(RING, newName(), { purpose: "ENCRYPT_DECRYPT" });
      return { named: `gcp-kms:${name}`, uri: `gcp-kms:${name}` };
    },
    enable(uri, enabled) {
      for (const version of keyOf(uri).versions) version.state = enabled ? "ENABLED" : "DISABLED";
    },
    async loseVersion(uri) {
      const key = keyOf(uri);
      key.primary = (await resources.addVersion(key)).number;
      key.versions[0]!.state = "DESTROYED";
    },
    deny() {
      const message = "Permission 'cloudkms.cryptoKeyVersions.useToDecrypt' denied on resource.";
      rules.push({ fault: new Fault("PERMISSION_DENIED", message) });
    },
    calm: () => void rules.splice(0),
    async stop() {
      await door.close();
      await standIn.stop();
    },
  };
}

const VAULT = "lango-test.vault.azure.net";
const LOGIN = "login.microsoftonline.com";

/**
 * Key Vault under the service's own names, as a private endpoint behind a proxy: TLS, the tokens of Entra ID and the check of
 * the challenge are the SDK's own.
 *
 * @param folder - For the certificate of the authority.
 */
export async function startAzure(folder: string): Promise<Cloud> {
  const certificate = makeCertificate(VAULT, LOGIN);
  const ca = join(folder, "ca.pem");
  writeFileSync(ca, certificate.cert);
  const names = { origin: `https://${VAULT}`, authority: `https://${LOGIN}` };
  const standIn = await startKeyVault({ certificate, ...names });
  const { store } = standIn;
  const door = await openProxy(standIn.port);
  const nameOf = (uri: string): string => uri.slice(uri.lastIndexOf("/") + 1);
  return {
    settings: (kms) => ({
      kms: {
        azure: { vaultUrl: standIn.url },
        ...{ timeoutPerOperation: "20s", maxRetries: 0, ...kms },
      },
    }),
    env: {
      HTTPS_PROXY: door.url,
      NODE_EXTRA_CA_CERTS: ca,
      AZURE_TENANT_ID: CLIENT.tenant,
      AZURE_CLIENT_ID: CLIENT.id,
      AZURE_CLIENT_SECRET: CLIENT.secret,
    },
    door,
    async createKey() {
      const name = newName();
      await store.create(name, { kty: "RSA" });
      return { named: `azure-kv:${name}`, uri: `azure-kv:${standIn.url}/keys/${name}` };
    },
    enable(uri, enabled) {
      for (const { version } of store.versions(nameOf(uri))) {
        store.update(nameOf(uri), version, { attributes: { enabled } });
      }
    },
    async loseVersion(uri) {
      // Key Vault deletes keys as a whole: one of the same name that was purged and made again has other versions.
      store.delete(nameOf(uri));
      store.purge(nameOf(uri));
      await store.create(nameOf(uri), { kty: "RSA" });
    },
    deny: () =>
      standIn.inject({
        times: Number.POSITIVE_INFINITY,
        answer: {
          status: 403,
          body: { error: { code: "Forbidden", innererror: { code: "ForbiddenByRbac" } } },
        },
      }),
    calm: () => standIn.calm(),
    async stop() {
      await door.close();
      await standIn.stop();
    },
  };
}

/** An HTTP proxy that leads every tunnel to one port (RFC 9110 §9.3.6). */
async function openProxy(port: number): Promise<Door> {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
  };
  const server = createServer();
  server.on("connection", keep);
  server.on("connect", (_request, client: Socket) => {
    const behind = connect(port, "127.0.0.1");
    keep(behind);
    client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
    client.pipe(behind).pipe(client);
  });
  const listen = (at: number): Promise<void> =>
    new Promise((resolve) => server.listen(at, "127.0.0.1", resolve));
  await listen(0);
  const own = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${own}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
    open: () => listen(own),
  };
}

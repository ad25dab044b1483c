import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Server, startServer } from "../../../tooling/services/server.ts";
import { requireService } from "../../../tooling/vitest/require-service.ts";

export const REGION = "us-east-1";

/** How to reach a server of a test. */
export interface Settings {
  readonly region: string;
  readonly endpoint: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/** Settings for a server on this machine; it believes any credentials. */
export const settingsFor = (server: Server): Settings => ({
  region: REGION,
  endpoint: server.url,
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
});

export const startMoto = (): Promise<Server> =>
  startServer({
    program: requireService("moto"),
    args: (port) => ["-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)],
  });

const starter = fileURLToPath(
  new URL("../../../tooling/services/python/start-localstack.py", import.meta.url),
);

export async function startLocalstack(): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), "lango-localstack-"));
  const server = await startServer({
    program: requireService("localstack"),
    args: () => [starter],
    env: (port) => ({
      GATEWAY_LISTEN: `127.0.0.1:${port}`,
      SERVICES: "kms",
      EAGER_SERVICE_LOADING: "1",
      FILESYSTEM_ROOT: folder,
      OVERRIDE_IN_DOCKER: "0",
      // It shall call nobody: no usage events, no certificate from its makers, no name server.
      DISABLE_EVENTS: "1",
      SKIP_SSL_CERT_DOWNLOAD: "1",
      DNS_ADDRESS: "0",
    }),
  });
  return {
    ...server,
    async stop() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

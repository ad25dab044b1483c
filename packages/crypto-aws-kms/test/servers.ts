import { type Server, startServer } from "../../../tooling/services/server.ts";
import { requireService } from "../../../tooling/vitest/require-service.ts";

export const REGION = "us-east-1";

/** Settings for a server on this machine; it believes any credentials. */
export const settingsFor = (server: Server) => ({
  region: REGION,
  endpoint: server.url,
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
});

export const startMoto = (): Promise<Server> =>
  startServer({
    program: requireService("moto"),
    args: (port) => ["-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)],
  });

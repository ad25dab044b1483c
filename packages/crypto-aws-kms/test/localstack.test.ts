import { describeProvider } from "@lango/crypto-conformance/vitest";
import { afterAll } from "vitest";
import type { Server } from "../../../tooling/services/server.ts";
import { createAwsKmsProvider } from "../src/index.ts";
import { makeKeys } from "./keys.ts";
import { settingsFor, startLocalstack } from "./servers.ts";

let server: Server | undefined;
afterAll(() => server?.stop());

describeProvider("aws-kms on localstack", async () => {
  server = await startLocalstack();
  const settings = settingsFor(server);
  return { provider: createAwsKmsProvider(settings), keys: await makeKeys(settings) };
});

import { describeProvider } from "@lango/crypto-conformance/vitest";
import { afterAll } from "vitest";
import type { Server } from "../../../tooling/services/server.ts";
import { createAwsKmsProvider } from "../src/index.ts";
import { makeKeys } from "./keys.ts";
import { testMore } from "./more.ts";
import { type Settings, settingsFor, startLocalstack } from "./servers.ts";

let server: Server | undefined;
const start = async (): Promise<Settings> => {
  server ??= await startLocalstack();
  return settingsFor(server);
};
afterAll(() => server?.stop());
testMore("localstack", start);

describeProvider("aws-kms on localstack", async () => {
  const settings = await start();
  return { provider: createAwsKmsProvider(settings), keys: await makeKeys(settings) };
});

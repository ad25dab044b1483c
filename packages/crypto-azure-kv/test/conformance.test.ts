import { randomUUID } from "node:crypto";
import { DefaultAzureCredential } from "@azure/identity";
import { KeyClient } from "@azure/keyvault-keys";
import { describeProvider } from "@lango/crypto-conformance/vitest";
import { afterAll } from "vitest";
import { createAzureKvProvider } from "../src/index.ts";
import { harnessOf, providerOf, standInHere } from "./set-up.ts";
import type { StandIn } from "./stand-in/server.ts";

let standIn: StandIn | undefined;
afterAll(() => standIn?.stop());

// A server of our own shows that provider and SDK fit together, and nothing about Key Vault: it does not count.
describeProvider("azure-kv on stand-in (own, not counted)", async () => {
  standIn = await standInHere();
  const { store, url } = standIn;
  return await harnessOf(providerOf(standIn), url, async (name) =>
    store.update(name, undefined, { attributes: { enabled: false } }),
  );
});

const vaultUrl = process.env["LANGO_TEST_AZURE_KV"];
if (vaultUrl !== undefined && vaultUrl !== "") {
  const { hostname } = new URL(vaultUrl);
  const allowLoopback = ["127.0.0.1", "localhost"].includes(hostname);
  const token = process.env["LANGO_TEST_AZURE_KV_TOKEN"];
  // A fixed token is for emulators on this machine alone.
  const credential =
    allowLoopback && token
      ? { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) }
      : new DefaultAzureCredential();
  const client = new KeyClient(vaultUrl, credential, {
    disableChallengeResourceVerification: allowLoopback,
  });
  const made: string[] = [];
  const name = (): string => {
    made.push(`lango-test-${randomUUID()}`);
    return made.at(-1)!;
  };

  describeProvider(`azure-kv on ${hostname}`, async () =>
    harnessOf(
      createAzureKvProvider({ vaultUrl, credential, allowLoopback }),
      vaultUrl.replace(/\/$/, ""),
      (key) => client.updateKeyProperties(key, { enabled: false }),
      name,
    ),
  );
  // Deleted keys keep their names until they are purged, which is left to the vault.
  afterAll(async () => {
    const present = new Set<string>();
    for await (const key of client.listPropertiesOfKeys()) present.add(key.name);
    for (const key of made) if (present.has(key)) await client.beginDeleteKey(key);
  }, 120_000);
}

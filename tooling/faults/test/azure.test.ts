import { ClientSecretCredential } from "@azure/identity";
import { createAzureKvProvider } from "@lango/crypto-azure-kv";
import { CLIENT, startStandIn } from "../../../packages/crypto-azure-kv/test/stand-in/server.ts";
import { makeCertificate } from "../../../packages/crypto-azure-kv/test/stand-in/tls.ts";
import { AZURE_FAULTS, azureOperation } from "../azure.ts";
import { describeFaults } from "../describe.ts";
import { startFaultProxy } from "../proxy.ts";

describeFaults("azure-kv", AZURE_FAULTS, async () => {
  const tls = makeCertificate();
  const standIn = await startStandIn({ certificate: tls });
  const proxy = await startFaultProxy({
    target: standIn.url,
    protocol: "https",
    tls,
    targetCa: tls.cert,
    rewriteAddress: true,
  });
  const pipeline = { tlsOptions: { ca: tls.cert } };
  const provider = createAzureKvProvider({
    vaultUrl: proxy.url,
    allowLoopback: true,
    pipeline,
    // The real flow of the SDK, its token endpoint behind the proxy too.
    credential: new ClientSecretCredential(CLIENT.tenant, CLIENT.id, CLIENT.secret, {
      authorityHost: proxy.url,
      disableInstanceDiscovery: true,
      retryOptions: { maxRetries: 0 },
      ...pipeline,
    }),
  });
  const { keyId } = await provider.createKey!({
    keyId: "faults",
    algorithm: "rsa-2048",
    usage: "encryption",
  });
  return {
    proxy,
    provider,
    keyId,
    algorithm: "rsa-2048",
    isRequestOf: azureOperation,
    isCreation: azureOperation("create"),
    isRotation: azureOperation("rotate"),
    keys: async () => standIn.store.names().length,
    versions: async () => standIn.store.versions("faults").length,
    stop: async () => {
      await provider.close();
      await proxy.stop();
      await standIn.stop();
    },
  };
});

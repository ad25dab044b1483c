import { createGcpKmsProvider } from "@lango/crypto-gcp-kms";
import { startStandIn } from "../../../packages/crypto-gcp-kms/test/stand-in/server.ts";
import { describeFaults } from "../describe.ts";
import { GCP_FAULTS, gcpMethod } from "../gcp.ts";
import { startFaultProxy } from "../proxy.ts";

const keyRing = "projects/lango-test/locations/europe-west1/keyRings/faults";

describeFaults("gcp-kms", GCP_FAULTS, async () => {
  const standIn = await startStandIn();
  const proxy = await startFaultProxy({ target: standIn.grpcUrl, protocol: "grpc" });
  const provider = createGcpKmsProvider({ keyRing, endpoint: `http://${proxy.url}` });
  const { keyId } = await provider.createKey!({ algorithm: "aes-256-gcm", usage: "encryption" });
  const { keys } = standIn.resources;
  return {
    proxy,
    provider,
    keyId,
    algorithm: "aes-256-gcm",
    isRequestOf: (operation) => gcpMethod(operation === "encrypt" ? "Encrypt" : "Decrypt"),
    isCreation: gcpMethod("CreateCryptoKey"),
    isRotation: gcpMethod("CreateCryptoKeyVersion"),
    keys: async () => keys.size,
    versions: async () => keys.get(keyId)!.versions.length,
    stop: async () => {
      await provider.close();
      await proxy.stop();
      await standIn.stop();
    },
  };
});

import { createGcpKmsProvider } from "@lango/crypto-gcp-kms";
import { startStandIn } from "../../../packages/crypto-gcp-kms/test/stand-in/server.ts";
import { describeFaults } from "../describe.ts";
import type { SeenRequest } from "../fault.ts";
import { GCP_FAULTS, GCP_REST_FAULTS, gcpMethod, gcpRestMethod } from "../gcp.ts";
import { startFaultProxy } from "../proxy.ts";

const keyRing = "projects/lango-test/locations/europe-west1/keyRings/faults";

for (const transport of ["grpc", "rest"] as const) {
  const isGrpc = transport === "grpc";
  const requestsOf = isGrpc
    ? gcpMethod
    : (method: string) => gcpRestMethod(method.charAt(0).toLowerCase() + method.slice(1));

  describeFaults(`gcp-kms over ${transport}`, isGrpc ? GCP_FAULTS : GCP_REST_FAULTS, async () => {
    const standIn = await startStandIn();
    const proxy = await startFaultProxy(
      isGrpc
        ? { target: standIn.grpcUrl, protocol: "grpc" }
        : { target: standIn.restUrl, protocol: "http" },
    );
    const endpoint = `http://127.0.0.1:${proxy.port}`;
    const provider = createGcpKmsProvider({ keyRing, endpoint, transport });
    const { keyId } = await provider.createKey!({ algorithm: "aes-256-gcm", usage: "encryption" });
    const { keys } = standIn.resources;
    const isPost = (ending: RegExp) => (request: SeenRequest) =>
      request.method === "POST" && ending.test(request.path.split("?")[0] ?? "");
    return {
      proxy,
      provider,
      keyId,
      algorithm: "aes-256-gcm",
      isRequestOf: (operation) => requestsOf(operation === "encrypt" ? "Encrypt" : "Decrypt"),
      isCreation: isGrpc ? gcpMethod("CreateCryptoKey") : isPost(/\/cryptoKeys$/),
      isRotation: isGrpc ? gcpMethod("CreateCryptoKeyVersion") : isPost(/\/cryptoKeyVersions$/),
      keys: async () => keys.size,
      versions: async () => keys.get(keyId)!.versions.length,
      stop: async () => {
        await provider.close();
        await proxy.stop();
        await standIn.stop();
      },
    };
  });
}

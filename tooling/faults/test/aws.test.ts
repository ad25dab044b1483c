import { KMSClient, ListKeyRotationsCommand, ListKeysCommand } from "@aws-sdk/client-kms";
import { createAwsKmsProvider } from "@lango/crypto-aws-kms";
import { settingsFor, startMoto } from "../../../packages/crypto-aws-kms/test/servers.ts";
import { withService } from "../../vitest/require-service.ts";
import { AWS_FAULTS, awsAction } from "../aws.ts";
import { describeFaults } from "../describe.ts";
import { startFaultProxy } from "../proxy.ts";

withService("moto", () => {
  describeFaults("aws-kms", AWS_FAULTS, async () => {
    const moto = await startMoto();
    const proxy = await startFaultProxy({ target: moto.url, protocol: "http" });
    const settings = settingsFor(moto);
    const provider = createAwsKmsProvider({ ...settings, endpoint: proxy.url });
    const { keyId } = await provider.createKey!({ algorithm: "aes-256-gcm", usage: "encryption" });
    // Past the proxy.
    const sdk = new KMSClient(settings);
    return {
      proxy,
      provider,
      keyId,
      algorithm: "aes-256-gcm",
      isRequestOf: (operation) => awsAction(operation === "encrypt" ? "Encrypt" : "Decrypt"),
      isCreation: awsAction("CreateKey"),
      isRotation: awsAction("RotateKeyOnDemand"),
      keys: async () => (await sdk.send(new ListKeysCommand({}))).Keys?.length ?? 0,
      versions: async () =>
        (await sdk.send(new ListKeyRotationsCommand({ KeyId: keyId }))).Rotations?.length ?? 0,
      stop: async () => {
        sdk.destroy();
        await provider.close();
        await proxy.stop();
        await moto.stop();
      },
    };
  });
});

import { createAwsKmsProvider } from "@lango/crypto-aws-kms";
import { createResilientProvider } from "@lango/crypto-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { settingsFor, startMoto } from "../../../packages/crypto-aws-kms/test/servers.ts";
import type { Server } from "../../services/server.ts";
import { withService } from "../../vitest/require-service.ts";
import { awsAction } from "../aws.ts";
import { type CountedProvider, openAtOnce, readAtOnce, sealMany } from "../load.ts";
import { type FaultProxy, startFaultProxy } from "../proxy.ts";

withService("moto", () => {
  describe("calls that reach AWS KMS", () => {
    let moto: Server;
    let proxy: FaultProxy;
    let counted: CountedProvider;

    beforeAll(async () => {
      moto = await startMoto();
      proxy = await startFaultProxy({ target: moto.url, protocol: "http" });
      const settings = { ...settingsFor(moto), endpoint: proxy.url };
      const provider = createResilientProvider(createAwsKmsProvider(settings));
      const key = await provider.createKey!({ algorithm: "aes-256-gcm", usage: "encryption" });
      const uses = [awsAction("Encrypt"), awsAction("Decrypt")];
      counted = {
        provider,
        keyId: key.keyId,
        requests: () =>
          proxy.requests().filter((request) => uses.some((isUse) => isUse(request))).length,
      };
    }, 120_000);
    afterAll(async () => {
      await counted?.provider.close();
      await proxy?.stop();
      await moto?.stop();
    });

    it("are 1 for 3,000 concurrent cold opens of one data key, and 0 for 3,000 more", async () => {
      expect(await openAtOnce(counted, 3000)).toEqual({ cold: 1, warm: 0 });
    });

    it("are 1 for 3,000 concurrent cold reads of a vault, and 0 for 3,000 more", async () => {
      expect(await readAtOnce(counted, 3000)).toEqual({ cold: 1, warm: 0 });
    });

    it("are 1 for 1,000 values sealed in a vault just opened, and 0 for 1,000 more", async () => {
      expect(await sealMany(counted, 1000)).toEqual({ cold: 1, warm: 0 });
    });
  });
});

import { createPkcs11Provider } from "@lango/crypto-pkcs11";
import { expect, test } from "vitest";
import { makeFaulty } from "../support/faults.ts";
import { makeSoftHsm, withToken } from "../support/softhsm.ts";

withToken("softhsm2", () => {
  test("calls of one turn of the event loop are spread over the sessions", async () => {
    const hsm = makeSoftHsm();
    const faulty = makeFaulty(hsm);
    const provider = await createPkcs11Provider({ ...faulty, maxSessions: 2 });
    try {
      const { keyId } = await provider.createKey!({ algorithm: "ecdsa-p256", usage: "signing" });
      const sign = () => provider.sign!({ keyId, message: new Uint8Array([1]) });
      // The second session is opened under load, and takes its part from then on.
      await expect
        .poll(
          async () => {
            await Promise.all(Array.from({ length: 32 }, sign));
            return faulty.processes("C_Sign").length;
          },
          { timeout: 20_000 },
        )
        .toBe(2);
    } finally {
      await provider.close();
      hsm.remove();
    }
  });
});

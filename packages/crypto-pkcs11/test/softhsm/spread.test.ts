import { createPkcs11Provider } from "@lango/crypto-pkcs11";
import { expect, test } from "vitest";
import { makeFaulty } from "../support/faults.ts";
import { moduleProcesses } from "../support/native.ts";
import { makeSoftHsm, withToken } from "../support/softhsm.ts";

withToken("softhsm2", () => {
  test("calls of one turn of the event loop are spread over the sessions", async () => {
    const hsm = makeSoftHsm();
    const faulty = makeFaulty(hsm);
    const provider = await createPkcs11Provider({
      ...faulty,
      maxSessions: 2,
      operationTimeoutMs: 3000,
    });
    try {
      const { keyId } = await provider.createKey!({ algorithm: "ecdsa-p256", usage: "signing" });
      const signAll = (count: number) =>
        Promise.allSettled(
          Array.from({ length: count }, () =>
            provider.sign!({ keyId, message: new Uint8Array([1]) }),
          ),
        );
      let logins = 0;
      await expect
        .poll(
          async () => {
            await signAll(32);
            logins += faulty.calls("C_Login");
            return logins;
          },
          { timeout: 20_000 },
        )
        .toBeGreaterThanOrEqual(2);
      await signAll(1);

      // The first session hangs: what went to the second one is done.
      const [first] = moduleProcesses();
      process.kill(first!, "SIGSTOP");
      const outcomes = await signAll(16);
      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(8);
    } finally {
      await provider.close();
      hsm.remove();
    }
  });
});

import { describeProvider } from "@lango/crypto-conformance/vitest";
import { createPkcs11Provider } from "@lango/crypto-pkcs11";
import { afterAll } from "vitest";
import { makeHarness } from "../support/harness.ts";
import { makeSoftHsm, type SoftHsm, withToken } from "../support/softhsm.ts";

let hsm: SoftHsm | undefined;
afterAll(() => hsm?.remove());

withToken("softhsm2", () => {
  describeProvider("pkcs11 on softhsm", async () => {
    hsm = makeSoftHsm();
    return makeHarness(await createPkcs11Provider(hsm));
  });
});

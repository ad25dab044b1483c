import { describeProvider } from "@lango/crypto-conformance/vitest";
import { createPkcs11Provider } from "@lango/crypto-pkcs11";
import { afterAll } from "vitest";
import { makeHarness } from "./support/harness.ts";
import { makeSoftHsm, withSoftHsm } from "./support/softhsm.ts";

const removals: (() => void)[] = [];
afterAll(() => {
  for (const remove of removals) remove();
});

withSoftHsm("pkcs11 on softhsm", () => {
  describeProvider("pkcs11 on softhsm", async () => {
    const hsm = makeSoftHsm();
    removals.push(hsm.remove);
    return makeHarness(await createPkcs11Provider(hsm));
  });
});

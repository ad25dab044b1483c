import { describeProvider } from "@lango/crypto-conformance/vitest";
import { createPkcs11Provider } from "@lango/crypto-pkcs11";
import { afterAll } from "vitest";
import { makeHarness } from "../support/harness.ts";
import { makeNss } from "../support/nss.ts";
import { withToken } from "../support/softhsm.ts";

let remove = (): void => {};
afterAll(() => remove());

withToken("nss", () => {
  describeProvider("pkcs11 on nss", async () => {
    const nss = makeNss();
    remove = nss.remove;
    return makeHarness(await createPkcs11Provider(nss));
  });
});

import { describeProvider } from "@lango/crypto-conformance/vitest";
import { afterAll } from "vitest";
import { createPkcs11Provider } from "../../crypto-pkcs11/src/index.ts";
import { makeHarness } from "../../crypto-pkcs11/test/support/harness.ts";
import { makeSoftHsm, PIN, withToken } from "../../crypto-pkcs11/test/support/softhsm.ts";
import { createRpcProvider } from "../src/index.ts";
import { makePair } from "./support/companion.ts";

withToken("softhsm2", () => {
  const ends: (() => unknown)[] = [];
  afterAll(async () => {
    for (const end of ends) await end();
  });

  describeProvider("rpc on companion with softhsm (own, not counted)", async () => {
    const hsm = makeSoftHsm();
    const { modulePath, env, pin } = hsm;
    const token = { label: "t1" };
    const direct = await createPkcs11Provider({ modulePath, env, token, pin });
    const { keys } = await makeHarness(direct);
    const { maxPlaintextBytes, maxAadBytes } = direct.capabilities;
    await direct.close();
    const pair = await makePair();
    const companion = await pair.start({ pkcs11: { modulePath, env, token, pin: PIN } });
    ends.push(companion.stop, pair.remove, hsm.remove);
    const { identity, peers } = pair;
    const limits = { maxPlaintextBytes, maxAadBytes };
    return {
      provider: createRpcProvider({ url: companion.url, identity, peers, ...limits }),
      keys,
    };
  });
});

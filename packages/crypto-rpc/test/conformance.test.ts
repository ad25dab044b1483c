import { createChannelListener } from "@lango/companion";
import { describeProvider } from "@lango/crypto-conformance/vitest";
import { afterAll } from "vitest";
import { createDialInLink, createRpcProvider } from "../src/index.ts";
import { makePair } from "./support/companion.ts";
import { HARNESS_KEYS } from "./support/keys.ts";

const pair = await makePair();
const ends: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const end of ends) await end();
  pair.remove();
});
const { identity, peers } = pair;

// The companion is a process of its own, but our own: see how tooling/vitest/conformance.ts counts.
describeProvider("rpc on companion (own, not counted)", async () => {
  const companion = await pair.start();
  ends.push(() => companion.stop());
  return {
    provider: createRpcProvider({ url: companion.url, identity, peers }),
    keys: HARNESS_KEYS,
    parallelCalls: 300,
  };
});

describeProvider("rpc on companion that dials in (own, not counted)", async () => {
  const listener = createChannelListener({ role: "agent", identity, peers });
  const { port } = await listener.listen();
  const companion = await pair.start({ dial: `https://127.0.0.1:${port}` });
  ends.push(
    () => companion.stop(),
    () => listener.close(),
  );
  return {
    provider: createRpcProvider({ link: createDialInLink({ listener }) }),
    keys: HARNESS_KEYS,
    parallelCalls: 300,
  };
});

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectChannel } from "../src/channel/connect.ts";
import { createChannelListener } from "../src/channel/listener.ts";
import type { ChannelListener } from "../src/channel/options.ts";
import { type Attack, INSIDERS, STRANGERS, type Target } from "./support/attacks.ts";
import { makePair, type Pair } from "./support/devices.ts";

let pair: Pair;
let listener: ChannelListener;
let target: Target;
let done = 0;

beforeAll(async () => {
  pair = await makePair();
  const { identity, peers } = pair.companion;
  listener = createChannelListener({
    role: "companion",
    identity,
    peers,
    limits: { handshakeMs: 1000 },
    handler: async () => {
      done++;
      return {
        keyId: "key",
        keyVersion: "1",
        signature: new Uint8Array(64),
        algorithm: "ecdsa-p256-sha256",
      };
    },
  });
  const { port } = await listener.listen();
  target = { port, agent: pair.agent.identity, companion: identity, peers };
});
afterAll(() => listener.close());

const check = async ({ run, sees, done: allowed = 0 }: Attack): Promise<void> => {
  const before = done;
  expect(await run(target)).toBe(sees);
  expect(done - before).toBe(allowed);
  // The paired agent is served as if nothing had been.
  const url = `wss://127.0.0.1:${target.port}`;
  const channel = await connectChannel({ role: "agent", ...pair.agent, url });
  await channel.call("sign", { keyId: "key", message: new Uint8Array(32) });
  await channel.close();
};

describe("a stranger gets nothing", () => {
  test.each(STRANGERS)("$attempt", check);
});

describe("a paired device that turned bad", () => {
  test.each(INSIDERS)("$attempt", check);
});

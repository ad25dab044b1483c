import { afterEach, expect, test } from "vitest";
import { connectChannel } from "../src/channel/connect.ts";
import { createChannelListener } from "../src/channel/listener.ts";
import type { IncomingRequest } from "../src/channel/types.ts";
import { makePair } from "./support/devices.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

test("a request goes to the companion and its answer comes back", async () => {
  const { agent, companion } = await makePair();
  const requests: IncomingRequest[] = [];
  const listener = createChannelListener({
    role: "companion",
    ...companion,
    handler: async (request) => {
      requests.push(request);
      return { name: "phone", asks: true, keys: 2 };
    },
  });
  closers.push(() => listener.close());
  const { host, port } = await listener.listen();
  const channel = await connectChannel({ role: "agent", ...agent, url: `wss://${host}:${port}` });
  expect(await channel.call("status", {})).toEqual({ name: "phone", asks: true, keys: 2 });
  expect(requests).toHaveLength(1);
  expect(channel.binding).toEqual(requests[0]?.binding);
  await channel.close();
  await expect(channel.call("status", {})).rejects.toMatchObject({ code: "ERR_CLOSED" });
});

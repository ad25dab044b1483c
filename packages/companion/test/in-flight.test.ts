import { afterEach, expect, test } from "vitest";
import { createChannelListener } from "../src/channel/listener.ts";
import type { RequestHandler } from "../src/channel/types.ts";
import { newRequestId } from "../src/protocol/frame.ts";
import { joinAs, signRequest } from "./support/attacker.ts";
import {
  closeAll,
  closeLater,
  link,
  MESSAGE,
  SIGNED,
  signs,
  sleep,
  until,
} from "./support/channels.ts";
import { makePair } from "./support/devices.ts";

afterEach(closeAll);

test("1,000 requests in flight: one that waits for a person holds up no other", async () => {
  const decided = Promise.withResolvers<void>();
  const handler: RequestHandler = async ({ params, waiting }) => {
    if ("keyId" in params && params.keyId === "asks") {
      const done = waiting();
      await decided.promise;
      done();
    }
    return SIGNED;
  };
  const { channel, requests } = await link({ handler });
  let isDecided = false;
  const slow = channel.call("sign", { ...MESSAGE, keyId: "asks" }).then(() => {
    isDecided = true;
  });
  const others = Array.from({ length: 999 }, () => channel.call("sign", MESSAGE));
  expect(await Promise.all(others)).toEqual(others.map(() => SIGNED));
  expect(isDecided).toBe(false);
  expect(requests).toHaveLength(1000);
  decided.resolve();
  await slow;
});

test("answers that nobody reads: the companion stops reading, and its memory stays bounded", async () => {
  const large: RequestHandler = async () => ({ plaintext: new Uint8Array(65_536) });
  const { port, pair, requests, listener, channel } = await link({ handler: large });
  await channel.close();
  const raw = await joinAs(port, pair.agent.identity, "agent");
  raw.ws.pause();
  const asked = 2000;
  for (let sent = 0; sent < asked; sent++) {
    raw.send({ ...signRequest(), method: "decrypt", params: { keyId: "k", ciphertext: "AAAA" } });
  }
  // Four megabytes wait at most, and what the sockets themselves hold.
  let done = -1;
  while (done !== requests.length) {
    done = requests.length;
    await sleep(300);
  }
  expect(requests.length).toBeLessThan(asked / 2);
  expect(listener.channels).toHaveLength(1);
  raw.ws.resume();
  await until(() => requests.length === asked);
  raw.ws.terminate();
});

test("an agent reads on, however much of its own a companion that does not read left unsent", async () => {
  const pair = await makePair();
  const limits = { bufferedBytes: 1024 };
  const listener = createChannelListener({ role: "agent", ...pair.agent, limits });
  closeLater(() => listener.close());
  const { port } = await listener.listen();
  const raw = await joinAs(port, pair.companion.identity, "companion");
  await until(() => listener.channels.length === 1);
  raw.ws.pause();
  const ids = Array.from({ length: 300 }, newRequestId);
  const params = { keyId: "k", ciphertext: new Uint8Array(65_536) };
  const answers = ids.map((id) => listener.channels[0]?.call("decrypt", params, { id }));
  // So many at once that the agent stops reading while it takes them.
  await sleep(100);
  for (const id of ids) raw.send({ id, result: { plaintext: "" } });
  expect(await Promise.all(answers)).toHaveLength(300);
  raw.ws.terminate();
});

test("the limit of requests in flight holds against an agent that ignores it", async () => {
  const forever: RequestHandler = () => new Promise(() => {});
  const { port, pair, requests } = await link({ handler: forever, limits: { requests: 5 } });
  const raw = await joinAs(port, pair.agent.identity, "agent");
  for (let sent = 0; sent < 6; sent++) raw.send(signRequest());
  const refused = { error: { data: { code: "ERR_RATE_LIMITED", retryable: true } } };
  expect(await raw.next()).toMatchObject(refused);
  expect(requests).toHaveLength(5);
  raw.ws.terminate();
});

test("many channels may be made one after another", async () => {
  const { channel, port, pair, listener } = await link({ handler: signs });
  await channel.close();
  for (let made = 0; made < 20; made++) {
    const raw = await joinAs(port, pair.agent.identity, "agent");
    raw.ws.terminate();
  }
  await until(() => listener.channels.length === 0);
});

test("requests that are cancelled count until their handlers end: nobody has more run than the limit", async () => {
  const done = Promise.withResolvers<void>();
  // As keys do that cannot be stopped.
  const handler: RequestHandler = async () => {
    await done.promise;
    return SIGNED;
  };
  const { port, pair, requests } = await link({ handler, limits: { requests: 5 } });
  const raw = await joinAs(port, pair.agent.identity, "agent");
  const answers: unknown[] = [];
  for (let sent = 0; sent < 20; sent++) {
    const request = signRequest();
    raw.send(request);
    raw.send({ method: "cancel", params: { id: request["id"] } });
    answers.push((await raw.next())["error"]);
  }
  expect(requests).toHaveLength(5);
  expect(answers.at(-1)).toMatchObject({ data: { code: "ERR_RATE_LIMITED" } });
  done.resolve();
  await sleep(20);
  raw.send(signRequest());
  expect(await raw.next()).toHaveProperty("result");
  raw.ws.terminate();
});

test("pings whose pongs nobody reads are not all answered", async () => {
  const { port, pair, listener, channel } = await link({ handler: signs });
  await channel.close();
  const raw = await joinAs(port, pair.agent.identity, "agent");
  let pongs = 0;
  raw.ws.on("pong", () => pongs++);
  raw.ws.pause();
  const pings = 100_000;
  // What the kernel takes for a socket that is not read is some megabytes.
  for (let sent = 0; sent < pings; sent++) raw.ws.ping(Buffer.alloc(125));
  raw.send(signRequest());
  await until(() => raw.ws.bufferedAmount === 0);
  await sleep(300);
  raw.ws.resume();
  expect(await raw.next()).toHaveProperty("result");
  expect(pongs).toBeGreaterThan(0);
  expect(pongs).toBeLessThan(pings * 0.9);
  expect(listener.channels).toHaveLength(1);
  raw.ws.terminate();
}, 30_000);

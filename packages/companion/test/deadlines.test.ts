import { afterEach, describe, expect, test } from "vitest";
import { connectChannel } from "../src/channel/connect.ts";
import type { RequestHandler } from "../src/channel/types.ts";
import { newRequestId } from "../src/protocol/frame.ts";
import { joinAs, signRequest } from "./support/attacker.ts";
import { closeAll, hangs, link, MESSAGE, SIGNED, signs, sleep, until } from "./support/channels.ts";
import { peerOf } from "./support/devices.ts";

afterEach(closeAll);

/** A person who takes some time. */
const person =
  (ms: number): RequestHandler =>
  async ({ waiting }) => {
    const done = waiting();
    await sleep(ms);
    done();
    return SIGNED;
  };

describe("deadlines", () => {
  test("no answer in time is ERR_TIMEOUT; the companion is told, and the channel goes on", async () => {
    const { channel, requests } = await link({
      handler: (request) => (requests.length === 1 ? hangs(request) : signs(request)),
    });
    const call = channel.call("sign", MESSAGE, { timeoutMs: 50 });
    await expect(call).rejects.toMatchObject({ code: "ERR_TIMEOUT", retryable: true });
    await until(() => requests[0]?.signal.aborted === true);
    expect(await channel.call("sign", MESSAGE)).toEqual(SIGNED);
  });

  test("the companion ends by the ttl of a request, whatever the agent does", async () => {
    const { port, pair, requests } = await link({ handler: hangs });
    const raw = await joinAs(port, pair.agent.identity, "agent");
    const id = newRequestId();
    raw.send({ ...signRequest(id), ttl: 50 });
    expect(await raw.next()).toMatchObject({ id, error: { data: { code: "ERR_TIMEOUT" } } });
    expect(requests[0]?.signal.reason).toMatchObject({ code: "ERR_TIMEOUT" });
    raw.ws.terminate();
  });

  test("a handler that answers after its deadline is not heard", async () => {
    const late: RequestHandler = async () => {
      await sleep(100);
      return SIGNED;
    };
    const { port, pair } = await link({ handler: late });
    const raw = await joinAs(port, pair.agent.identity, "agent");
    raw.send({ ...signRequest(), ttl: 20 });
    expect(await raw.next()).toMatchObject({ error: { data: { code: "ERR_TIMEOUT" } } });
    await sleep(150);
    raw.send(signRequest("AAAAAAAAAAAAAAAAAAAAAA"));
    expect(await raw.next()).toMatchObject({ id: "AAAAAAAAAAAAAAAAAAAAAA", seq: 2 });
    raw.ws.terminate();
  });

  test("a person has a clock of their own", async () => {
    const { channel } = await link({ handler: person(200), limits: { heartbeatMs: 20 } });
    expect(await channel.call("sign", MESSAGE, { timeoutMs: 50 })).toEqual(SIGNED);
  });

  test("a person who does not decide is ERR_APPROVAL_TIMEOUT", async () => {
    const { channel } = await link({ handler: person(5000), limits: { heartbeatMs: 20 } });
    const call = channel.call("sign", MESSAGE, { approvalTimeoutMs: 100 });
    await expect(call).rejects.toMatchObject({ code: "ERR_APPROVAL_TIMEOUT" });
  });

  test("a companion that falls silent while it asks is ERR_UNAVAILABLE", async () => {
    const limits = { heartbeatMs: 10_000, heartbeatLossMs: 100 };
    const { channel } = await link({ handler: person(5000), limits });
    const call = channel.call("sign", MESSAGE);
    await expect(call).rejects.toMatchObject({ code: "ERR_UNAVAILABLE", retryable: true });
  });

  test("an abort rejects with its reason, and the companion stops", async () => {
    const { channel, requests } = await link({ handler: hangs });
    const stop = new AbortController();
    const reason = new Error("enough");
    const call = channel.call("sign", MESSAGE, { signal: stop.signal });
    await until(() => requests.length === 1);
    stop.abort(reason);
    await expect(call).rejects.toBe(reason);
    await until(() => requests[0]?.signal.aborted === true);
    await expect(channel.call("sign", MESSAGE, { signal: stop.signal })).rejects.toBe(reason);
  });

  test("a retry with the id of a request that was given up gets its own answer", async () => {
    const { channel, requests } = await link({
      handler: (request) => (requests.length === 1 ? hangs(request) : signs(request)),
    });
    const id = newRequestId();
    const first = channel.call("sign", MESSAGE, { id, timeoutMs: 50 });
    await expect(first).rejects.toMatchObject({ code: "ERR_TIMEOUT" });
    expect(await channel.call("sign", MESSAGE, { id })).toEqual(SIGNED);
  });
});

describe("liveness", () => {
  test("a connection whose other side is frozen ends by a ping without pong", async () => {
    const limits = { pingMs: 30, pongMs: 100 };
    const { port, pair, listener, channel } = await link({ handler: signs, limits });
    await channel.close();
    await until(() => listener.channels.length === 0);
    const raw = await joinAs(port, pair.agent.identity, "agent");
    await until(() => listener.channels.length === 1);
    const frozen = listener.channels[0];
    raw.ws.pause();
    expect(await frozen?.closed).toContain("ping");
    raw.ws.terminate();
  });

  test("a connection that is alive outlives many pings", async () => {
    const { channel } = await link({ handler: signs, limits: { pingMs: 10, pongMs: 2000 } });
    await sleep(300);
    expect(await channel.call("sign", MESSAGE)).toEqual(SIGNED);
  });
});

describe("revocation", () => {
  test("an idle channel of a revoked device is closed within the interval", async () => {
    const { channel, pair, listener } = await link({ handler: signs, limits: { pinMs: 20 } });
    pair.companion.peers.pins.clear();
    expect(await channel.closed).toContain("does not take this device");
    expect(listener.channels).toEqual([]);
    const denied = { code: "ERR_ACCESS_DENIED", retryable: false };
    await expect(channel.call("sign", MESSAGE)).rejects.toMatchObject(denied);
  });

  test("a request of a revoked device is not done, however fresh the revocation", async () => {
    const { channel, pair, requests } = await link({ handler: signs, limits: { pinMs: 100_000 } });
    pair.companion.peers.pins.clear();
    const denied = { code: "ERR_ACCESS_DENIED" };
    await expect(channel.call("sign", MESSAGE)).rejects.toMatchObject(denied);
    expect(requests).toHaveLength(0);
  });

  test("what is in flight at a revocation is aborted and ends typed", async () => {
    const { channel, pair, requests } = await link({ handler: hangs, limits: { pinMs: 20 } });
    const call = channel.call("sign", MESSAGE);
    await until(() => requests.length === 1);
    pair.companion.peers.pins.clear();
    await expect(call).rejects.toMatchObject({ code: "ERR_ACCESS_DENIED" });
    expect(requests[0]?.signal.reason).toMatchObject({ code: "ERR_ACCESS_DENIED" });
  });

  test("an agent that revoked the companion asks it nothing more", async () => {
    const { channel, pair, requests } = await link({ handler: signs, limits: { pinMs: 100_000 } });
    pair.agent.peers.pins.clear();
    const denied = { code: "ERR_ACCESS_DENIED" };
    await expect(channel.call("sign", MESSAGE)).rejects.toMatchObject(denied);
    expect(requests).toHaveLength(0);
  });

  test("a device that was paired again is another one: the channel of the first is closed", async () => {
    const { channel, pair } = await link({ handler: hangs, limits: { pinMs: 10 } });
    const call = channel.call("sign", MESSAGE);
    const { identity } = pair.agent;
    const again = { ...peerOf(identity, "agent"), id: "B".repeat(21).concat("A") };
    pair.companion.peers.pins.set(identity.fingerprint, again);
    await expect(call).rejects.toMatchObject({ code: "ERR_ACCESS_DENIED" });
  });

  test("a revoked device that does not answer the close is cut off", async () => {
    const { channel, listener, pair, port } = await link({ handler: signs });
    await channel.close();
    const raw = await joinAs(port, pair.agent.identity, "agent");
    await until(() => listener.channels.length === 1);
    raw.ws.pause();
    pair.companion.peers.pins.clear();
    const before = performance.now();
    await until(() => listener.channels.length === 0);
    // `ws` alone waits for thirty seconds.
    expect(performance.now() - before).toBeLessThan(10_000);
    raw.ws.terminate();
  }, 15_000);

  test("what comes after a frame that breaks the protocol is not done", async () => {
    const { requests, pair, port } = await link({ handler: signs });
    const raw = await joinAs(port, pair.agent.identity, "agent");
    raw.send("no JSON");
    raw.send(signRequest());
    expect(await raw.closed).toContain("no JSON");
    expect(requests).toEqual([]);
  });

  test("a request that is aborted while the pin is looked at is never sent", async () => {
    const { channel, requests, pair } = await link({ handler: signs, limits: { pinMs: 100_000 } });
    const { find } = pair.agent.peers;
    const looked = Promise.withResolvers<void>();
    pair.agent.peers.find = async (fingerprint) => {
      await looked.promise;
      return find(fingerprint);
    };
    const call = channel.call("sign", MESSAGE, { signal: AbortSignal.timeout(10) });
    await expect(call).rejects.toThrow();
    looked.resolve();
    await channel.call("status", {}).catch(() => undefined);
    expect(requests.map(({ method }) => method)).toEqual(["status"]);
  });

  test("a request that is cancelled while the pin is looked at is never done", async () => {
    const { channel, requests, pair } = await link({ handler: signs, limits: { pinMs: 100_000 } });
    const { find } = pair.companion.peers;
    const looked = Promise.withResolvers<void>();
    let looks = 0;
    pair.companion.peers.find = async (fingerprint) => {
      looks++;
      await looked.promise;
      return find(fingerprint);
    };
    const controller = new AbortController();
    const call = channel.call("sign", MESSAGE, { signal: controller.signal });
    await until(() => looks === 1);
    controller.abort("enough");
    await expect(call).rejects.toBe("enough");
    // By then the cancel has been read, too.
    const after = channel.call("status", {}).catch(() => undefined);
    await until(() => looks === 2);
    looked.resolve();
    await after;
    expect(requests.map(({ method }) => method)).toEqual(["status"]);
  });

  test("pins that cannot be read close the channel, and tell nobody that it was revoked", async () => {
    const { channel, pair } = await link({ handler: signs, limits: { pinMs: 100_000 } });
    pair.companion.peers.find = () => Promise.reject(new Error("disk"));
    const gone = { code: "ERR_UNAVAILABLE" };
    await expect(channel.call("sign", MESSAGE)).rejects.toMatchObject(gone);
  });

  test("a suspended device is refused when it dials", async () => {
    const { pair, url } = await link({ handler: signs });
    for (const [pin, peer] of pair.companion.peers.pins) {
      pair.companion.peers.pins.set(pin, { ...peer, state: "suspended" });
    }
    const dialling = connectChannel({ role: "agent", ...pair.agent, url });
    await expect(dialling).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
  });
});

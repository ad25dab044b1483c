import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { SeenRequest } from "../fault.ts";
import { type FaultProxy, startFaultProxy } from "../proxy.ts";

/** A real server that counts what reaches it and sends back what it got. */
let served = 0;
const server: Server = createServer(async (request, response) => {
  const body = await buffer(request);
  served += 1;
  response.writeHead(201, { "x-method": request.method, "x-path": request.url, "x-one": "1" });
  response.end(body);
});
let proxy: FaultProxy;

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  proxy = await startFaultProxy({ target: `http://127.0.0.1:${port}`, protocol: "http" });
});
afterAll(async () => {
  await proxy.stop();
  server.closeAllConnections();
  server.close();
});
afterEach(() => {
  proxy.clear();
  served = 0;
});

const post = (body = "hello", signal?: AbortSignal) =>
  fetch(`${proxy.url}/a/b?c=d`, { method: "POST", body, ...(signal && { signal }) });

const seen = () => proxy.requests().map(({ forwarded }) => forwarded);

describe("a fault proxy for HTTP", () => {
  it("changes nothing without a rule", async () => {
    const response = await post();
    expect(response.status).toBe(201);
    expect(response.headers.get("x-method")).toBe("POST");
    expect(response.headers.get("x-path")).toBe("/a/b?c=d");
    expect(await response.text()).toBe("hello");
    expect(proxy.requests()).toMatchObject([
      { method: "POST", path: "/a/b?c=d", body: Buffer.from("hello"), forwarded: true },
    ]);
  });

  it("answers in the place of the service", async () => {
    const headers = { "retry-after": "3" };
    proxy.inject({ fault: { kind: "answer", status: 429, headers, body: "later" } });
    const response = await post();
    expect(response.status).toBe(429);
    expect(response.headers.get("retry-after")).toBe("3");
    expect(await response.text()).toBe("later");
    expect([served, ...seen()]).toEqual([0, false]);
  });

  it("strikes as often as it is told, and only what matches", async () => {
    const match = ({ body }: SeenRequest) => body.toString() === "struck";
    proxy.inject({ match, times: 2, fault: { kind: "answer", status: 500 } });
    const statuses = [];
    for (const body of ["struck", "spared", "struck", "struck"])
      statuses.push((await post(body)).status);
    expect(statuses).toEqual([500, 201, 500, 201]);
  });

  it.each([
    { after: "nothing", reached: 0 },
    { after: "the work", reached: 1 },
  ] as const)("breaks the connection after $after", async ({ after, reached }) => {
    proxy.inject({ fault: { kind: "reset", after } });
    await expect(post()).rejects.toMatchObject({ cause: { code: "ECONNRESET" } });
    expect([served, ...seen()]).toEqual([reached, reached === 1]);
    expect((await post()).status).toBe(201);
  });

  it.each([
    { after: "nothing", reached: 0 },
    { after: "the work", reached: 1 },
  ] as const)("keeps silent after $after", async ({ after, reached }) => {
    proxy.inject({ fault: { kind: "silence", after } });
    await expect(post("hello", AbortSignal.timeout(300))).rejects.toThrow(/timeout/);
    expect([served, ...seen()]).toEqual([reached, reached === 1]);
  });

  it("answers late", async () => {
    proxy.inject({ fault: { kind: "slow", ms: 200, part: "all" } });
    const start = performance.now();
    expect(await (await post()).text()).toBe("hello");
    expect(performance.now() - start).toBeGreaterThan(190);
  });

  it("sends the body in pieces", async () => {
    proxy.inject({ fault: { kind: "slow", ms: 300, part: "body" } });
    const response = await post("x".repeat(1000));
    const pieces: number[] = [];
    for await (const piece of response.body ?? []) pieces.push(piece.length);
    expect(pieces.length).toBeGreaterThan(3);
    expect(pieces.reduce((total, length) => total + length)).toBe(1000);
  });

  it("alters the body, and its length", async () => {
    const change = (body: Buffer) => Buffer.concat([body, Buffer.from(", you")]);
    proxy.inject({ fault: { kind: "alter", change } });
    const response = await post();
    expect(await response.text()).toBe("hello, you");
    expect(response.status).toBe(201);
  });

  it("breaks the connection where the target does not answer", async () => {
    const dead = await startFaultProxy({ target: "http://127.0.0.1:1", protocol: "http" });
    await expect(fetch(dead.url)).rejects.toThrow("fetch failed");
    await dead.stop();
  });

  it("stops while requests hang", async () => {
    const other = await startFaultProxy({ target: proxy.url, protocol: "http" });
    other.inject({ fault: { kind: "silence", after: "nothing" } });
    const hanging = fetch(other.url);
    const broken = expect(hanging).rejects.toThrow("fetch failed");
    await expect.poll(() => other.requests().length).toBe(1);
    await other.stop();
    await broken;
    await expect(fetch(other.url)).rejects.toThrow("fetch failed");
  });
});

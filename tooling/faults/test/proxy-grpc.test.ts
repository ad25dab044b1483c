import grpc from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type FaultProxy, startFaultProxy } from "../proxy.ts";

// The bytes are the message: no proto file is needed for an echo.
const bytes = (value: Buffer) => value;
const Echo = grpc.makeGenericClientConstructor(
  {
    say: {
      path: "/echo.Echo/Say",
      requestStream: false,
      responseStream: false,
      requestSerialize: bytes,
      requestDeserialize: bytes,
      responseSerialize: bytes,
      responseDeserialize: bytes,
    },
  },
  "echo.Echo",
);

let served = 0;
const server = new grpc.Server();
server.addService(Echo.service, {
  say: (
    { request, metadata }: grpc.ServerUnaryCall<Buffer, Buffer>,
    done: grpc.sendUnaryData<Buffer>,
  ) => {
    served += 1;
    if (request.toString() === "fail") done({ code: grpc.status.NOT_FOUND, details: "no key" });
    else done(null, Buffer.concat([request, Buffer.from(String(metadata.get("x-mark")))]));
  },
});

let proxy: FaultProxy;
let client: InstanceType<typeof Echo>;

beforeAll(async () => {
  const port = await new Promise<number>((resolve, reject) => {
    const address = "127.0.0.1:0";
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    );
  });
  proxy = await startFaultProxy({ target: `127.0.0.1:${port}`, protocol: "grpc" });
  client = new Echo(proxy.url, grpc.credentials.createInsecure(), {
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.enable_retries": 0,
  });
});
afterAll(async () => {
  client.close();
  await proxy.stop();
  server.forceShutdown();
});
afterEach(() => {
  proxy.clear();
  served = 0;
});

const say = (text = "hello", deadlineMs = 5000) =>
  new Promise<string>((resolve, reject) => {
    const metadata = new grpc.Metadata();
    metadata.set("x-mark", "!");
    const call = client["say"];
    if (call === undefined) throw new Error("no method");
    call.call(
      client,
      Buffer.from(text),
      metadata,
      { deadline: Date.now() + deadlineMs },
      (error: grpc.ServiceError | null, answer: Buffer) =>
        error ? reject(error) : resolve(answer.toString()),
    );
  });

const seen = () => proxy.requests().map(({ forwarded }) => forwarded);

describe("a fault proxy for gRPC", () => {
  it("changes nothing without a rule: message, metadata and status", async () => {
    expect(await say()).toBe("hello!");
    await expect(say("fail")).rejects.toMatchObject({ code: 5, details: "no key" });
    expect(proxy.requests()).toMatchObject([
      { method: "POST", path: "/echo.Echo/Say", forwarded: true },
      { forwarded: true },
    ]);
  });

  it("ends a call with a status in the place of the service", async () => {
    const status = { kind: "status", code: 8, message: "Quota exceeded: 100 %" } as const;
    proxy.inject({ fault: status });
    await expect(say()).rejects.toMatchObject({ code: 8, details: "Quota exceeded: 100 %" });
    expect([served, ...seen()]).toEqual([0, false]);
  });

  it.each([
    { after: "nothing", reached: 0 },
    { after: "the work", reached: 1 },
  ] as const)("breaks the connection after $after", async ({ after, reached }) => {
    proxy.inject({ fault: { kind: "reset", after } });
    await expect(say()).rejects.toMatchObject({ code: 14 });
    expect([served, ...seen()]).toEqual([reached, reached === 1]);
    await expect.poll(() => say().catch(String)).toBe("hello!");
  });

  it.each([
    { after: "nothing", reached: 0 },
    { after: "the work", reached: 1 },
  ] as const)("keeps silent after $after", async ({ after, reached }) => {
    proxy.inject({ fault: { kind: "silence", after } });
    await expect(say("hello", 300)).rejects.toMatchObject({ code: 4 });
    expect([served, ...seen()]).toEqual([reached, reached === 1]);
  });

  it.each(["all", "body"] as const)("is slow: %s", async (part) => {
    proxy.inject({ fault: { kind: "slow", ms: 200, part } });
    const start = performance.now();
    expect(await say("a longer message, so that there are pieces")).toContain("pieces!");
    expect(performance.now() - start).toBeGreaterThan(190);
  });

  it("alters the message", async () => {
    const change = (body: Buffer) => Buffer.concat([body, Buffer.from(" And you?")]);
    proxy.inject({ fault: { kind: "alter", change } });
    expect(await say()).toBe("hello! And you?");
  });
});

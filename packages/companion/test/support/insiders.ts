import { MAX_FRAME_BYTES } from "../../src/protocol/frame.ts";
import { makeHello } from "../../src/protocol/hello.ts";
import { type Attack, BROKE, ID, pin, type Target } from "./attack.ts";
import { joinAs, signRequest, upgradeAs } from "./attacker.ts";
import { makeIdentity } from "./devices.ts";

/** A paired agent that sends some frames after its hello, and how it is closed. */
const sending =
  (...frames: readonly (object | string)[]) =>
  async ({ port, agent }: Target): Promise<string> => {
    const channel = await joinAs(port, agent, "agent");
    for (const frame of frames) channel.send(frame);
    return channel.closed;
  };

/** A paired agent that sends one request, and the error that it is answered with. */
const answered =
  (frame: object) =>
  async ({ port, agent }: Target): Promise<string> => {
    const channel = await joinAs(port, agent, "agent");
    channel.send(frame);
    const { error } = await channel.next();
    channel.ws.terminate();
    return `error ${(error as { code: number }).code}`;
  };

const refused = (error: unknown): string => (error as Error).message;

/** With a paired key: a device that turned bad, or its thief. */
export const INSIDERS: readonly Attack[] = [
  {
    attempt: "only an older version in the list",
    sees: 'HTTP 426 {"supported":["lango-companion.1"]}',
    run: ({ port, agent }) =>
      upgradeAs(port, agent, { protocols: ["lango-companion.0"] }).then(String, refused),
  },
  {
    attempt: "no version at all",
    sees: 'HTTP 426 {"supported":["lango-companion.1"]}',
    run: ({ port, agent }) => upgradeAs(port, agent, { protocols: [] }).then(String, refused),
  },
  {
    attempt: "another path",
    sees: 'HTTP 404 {"supported":["lango-companion.1"]}',
    run: ({ port, agent }) => upgradeAs(port, agent, { path: "/other" }).then(String, refused),
  },
  {
    attempt: "pairing while none is open",
    sees: 'HTTP 404 {"supported":["lango-companion.1"]}',
    run: ({ port, agent }) =>
      upgradeAs(port, agent, { path: "/companion/pair" }).then(String, refused),
  },
  {
    attempt: "a request before the hello",
    sees: `${BROKE}its first frame is no hello`,
    run: async ({ port, agent }) => {
      const channel = await upgradeAs(port, agent);
      channel.send(signRequest());
      return channel.closed;
    },
  },
  {
    attempt: "the hello of another version",
    sees: `${BROKE}its hello is of another version`,
    run: async ({ port, agent }) => {
      const channel = await upgradeAs(port, agent);
      const hello = makeHello("lango-companion.0", "agent", channel.binding, agent.privateKey);
      channel.send({ method: "hello", params: hello });
      return channel.closed;
    },
  },
  {
    attempt: "the hello of another connection",
    sees: `${BROKE}its hello is not of this connection`,
    run: async ({ port, agent }) => {
      const first = await joinAs(port, agent, "agent");
      const second = await upgradeAs(port, agent);
      second.sendHello("agent", agent, first.binding);
      const seen = await second.closed;
      first.ws.terminate();
      return seen;
    },
  },
  {
    attempt: "the hello of another key",
    sees: `${BROKE}its hello is not of this connection`,
    run: async ({ port, agent }) => {
      const channel = await upgradeAs(port, agent);
      channel.sendHello("agent", await makeIdentity("thief"));
      return channel.closed;
    },
  },
  {
    attempt: "the hello of another role",
    sees: `${BROKE}its hello is of another role`,
    run: async ({ port, agent }) => {
      const channel = await upgradeAs(port, agent);
      channel.sendHello("companion", agent);
      return channel.closed;
    },
  },
  {
    attempt: "a replayed frame",
    sees: `${BROKE}frame 2 was due: frames were repeated, reordered or left out`,
    done: 1,
    run: async ({ port, agent }) => {
      const channel = await joinAs(port, agent, "agent");
      const frame = JSON.stringify({ jsonrpc: "2.0", seq: 1, ...signRequest() });
      channel.send(frame);
      await channel.next();
      channel.send(frame);
      return channel.closed;
    },
  },
  {
    attempt: "a reordered frame",
    sees: `${BROKE}frame 1 was due: frames were repeated, reordered or left out`,
    run: sending(JSON.stringify({ jsonrpc: "2.0", seq: 2, ...signRequest() })),
  },
  {
    attempt: "an oversized frame",
    sees: "1009",
    run: sending(JSON.stringify({ ...signRequest(), more: "A".repeat(MAX_FRAME_BYTES) })),
  },
  {
    attempt: "a value that is too large",
    sees: "error -32602",
    run: answered({
      ...signRequest(),
      params: { keyId: "key", message: Buffer.alloc(65_537).toString("base64") },
    }),
  },
  { attempt: "malformed JSON", sees: `${BROKE}a frame is no JSON`, run: sending('{"jsonrpc":') },
  {
    attempt: "JSON of 100,000 levels",
    sees: `${BROKE}a frame has too many levels`,
    run: sending("[".repeat(100_000)),
  },
  {
    attempt: "a member twice",
    sees: `${BROKE}a frame has a member twice`,
    run: sending('{"jsonrpc":"2.0","seq":1,"seq":1,"method":"cancel","params":{"id":"x"}}'),
  },
  {
    attempt: "a batch",
    sees: `${BROKE}a frame is no object; batches are not taken`,
    run: sending("[]"),
  },
  {
    attempt: "an unknown member",
    sees: `${BROKE}a frame has unknown members`,
    run: sending({ ...signRequest(), alwaysAllow: true }),
  },
  {
    attempt: "a binary frame",
    sees: `${BROKE}a binary message`,
    run: async ({ port, agent }) => {
      const channel = await joinAs(port, agent, "agent");
      channel.ws.send(Uint8Array.of(1, 2, 3));
      return channel.closed;
    },
  },
  {
    attempt: "a predictable request id",
    sees: `${BROKE}an id is not 128 bits in base64url`,
    run: sending(signRequest("1")),
  },
  {
    attempt: "a deadline without end",
    sees: `${BROKE}a ttl is out of range`,
    run: sending({ ...signRequest(), ttl: 600_001 }),
  },
  {
    attempt: "an id that is in flight",
    sees: `${BROKE}two requests of one id in flight`,
    // The channel is closed before the first one passed the check of the pin.
    run: sending(signRequest(ID), signRequest(ID)),
  },
  {
    attempt: "an answer without a request",
    sees: `${BROKE}an answer to the companion`,
    run: sending({ id: ID, result: {} }),
  },
  {
    attempt: "a second hello",
    sees: `${BROKE}a second hello`,
    run: async ({ port, agent }) => {
      const channel = await joinAs(port, agent, "agent");
      channel.sendHello("agent", agent);
      return channel.closed;
    },
  },
  {
    attempt: "an unknown method",
    sees: "error -32601",
    run: answered({ ...signRequest(), method: "constructor" }),
  },
  {
    attempt: "params that do not fit",
    sees: "error -32602",
    run: answered({ ...signRequest(), params: { keyId: "key", message: "not base64" } }),
  },
  {
    attempt: "params of no schema",
    sees: "error -32602",
    run: answered({ ...signRequest(), params: { keyId: "key", message: "", __proto__x: 1 } }),
  },
  {
    attempt: "a channel whose device is revoked",
    sees: "1008",
    run: async ({ port, agent, peers }) => {
      const channel = await joinAs(port, agent, "agent");
      peers.pins.delete(agent.fingerprint);
      channel.send(signRequest());
      const seen = await channel.closed;
      pin(peers, agent);
      return seen;
    },
  },
];

import { createPublicKey } from "node:crypto";
import { once } from "node:events";
import {
  type AddressInfo,
  connect as connectTcp,
  createServer as createTcpServer,
  type Socket,
} from "node:net";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { report, torture } from "../../../tooling/vitest/torture.ts";
import { connectChannel } from "../src/channel/connect.ts";
import { createChannelListener } from "../src/channel/listener.ts";
import type { ChannelListener } from "../src/channel/options.ts";
import { tlsOptionsOf } from "../src/channel/trust.ts";
import type { Identity } from "../src/pairing/identity.ts";
import type { Attack, Target } from "./support/attack.ts";
import { forge } from "./support/certificates.ts";
import { link, MESSAGE, SIGNED, signs, until } from "./support/channels.ts";
import { makeIdentity, makePair, memoryPeers, type Pair, peerOf } from "./support/devices.ts";
import { INSIDERS } from "./support/insiders.ts";
import { STRANGERS } from "./support/strangers.ts";
import { TRAITORS } from "./support/traitors.ts";

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

describe("a companion that turned bad, against its agent", () => {
  test.each(TRAITORS)("$attempt", async ({ run, sees, ends }) => {
    const agent = await makeIdentity("agent");
    const companion = await makeIdentity("companion");
    const other = await makeIdentity("other");
    const peers = memoryPeers(peerOf(companion, "companion"), peerOf(other, "companion"));
    const listening = createChannelListener({ role: "agent", identity: agent, peers });
    try {
      const { port } = await listening.listen();
      const channelOf = ({ fingerprint }: Identity) =>
        listening.channels.find(({ peer }) => peer.fingerprint === fingerprint);
      const ask = async (asked: Identity, timeoutMs?: number): Promise<string> => {
        await until(() => channelOf(asked) !== undefined);
        const call = channelOf(asked)?.call("sign", MESSAGE, { timeoutMs });
        return call?.then(
          ({ keyId }) => (keyId === "key" ? "signed" : keyId),
          ({ code }) => code,
        ) as Promise<string>;
      };
      expect(await run({ port, companion, other, ask })).toEqual({ sees, ends });
    } finally {
      await listening.close();
    }
  });
});

describe("an impostor that waits for the agent gets no byte", () => {
  const wait = async (
    changes: TlsOptions,
    identity: Identity,
  ): Promise<{
    readonly port: number;
    readonly heard: () => number;
    readonly stop: () => void;
  }> => {
    let heard = 0;
    const server = createTlsServer({ ...tlsOptionsOf(identity), ...changes }, (socket) => {
      socket.on("data", (data: Buffer) => {
        heard += data.length;
      });
      socket.on("error", () => {});
    });
    server.on("tlsClientError", () => {});
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    return { port, heard: () => heard, stop: () => server.close() };
  };
  const dial = (port: number, peerId?: string): Promise<unknown> =>
    connectChannel({
      role: "agent",
      ...pair.agent,
      url: `wss://127.0.0.1:${port}`,
      peerId,
      limits: { handshakeMs: 2000 },
    });

  test.each([
    {
      attempt: "the certificate of another device",
      make: () => makeIdentity("impostor"),
      tls: {},
      error: { code: "ERR_ACCESS_DENIED" },
    },
    {
      attempt: "a copy of the certificate with another key",
      make: () => forge({ like: pair.companion.identity }),
      tls: {},
      error: { code: "ERR_ACCESS_DENIED" },
    },
    {
      attempt: "TLS 1.2",
      make: async () => pair.companion.identity,
      tls: { minVersion: "TLSv1.2", maxVersion: "TLSv1.2" },
      error: { code: "ERR_UNAVAILABLE" },
    },
    {
      attempt: "an expired certificate of the paired key",
      make: async () => {
        const { privateKey } = pair.companion.identity;
        const keys = { privateKey, publicKey: createPublicKey(privateKey) };
        return forge({ keys, notBefore: 0, notAfter: 1 });
      },
      tls: {},
      error: { code: "ERR_ACCESS_DENIED" },
    },
  ] as const)("$attempt", async ({ make, tls, error }) => {
    const { port, heard, stop } = await wait(tls, await make());
    await expect(dial(port)).rejects.toMatchObject(error);
    expect(heard()).toBe(0);
    stop();
  });

  test("another paired device than the one that is meant", async () => {
    const { port, heard, stop } = await wait({}, pair.companion.identity);
    const meant = "A".repeat(22);
    await expect(dial(port, meant)).rejects.toMatchObject({ code: "ERR_ACCESS_DENIED" });
    expect(heard()).toBe(0);
    stop();
  });

  test("plaintext", async () => {
    const server = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.end("HTTP/1.1 101 Switching Protocols\r\n\r\n");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await expect(dial(port)).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
    server.close();
  });

  test("silence", async () => {
    const server = createTcpServer((socket) => socket.on("error", () => {}));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await expect(dial(port)).rejects.toMatchObject({ code: "ERR_TIMEOUT" });
    server.close();
  });
});

test("10,000 connections: those beyond the limit are dropped, and a channel goes on", async () => {
  const connections = torture(500, 10_000);
  const flooded = await link({ handler: signs, listener: { maxHandshakes: 32 } });
  const { channel, listener, port, url } = flooded;
  const sockets: Socket[] = [];
  const closed = { count: 0 };
  for (let made = 0; made < connections; made++) {
    const socket = connectTcp(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.on("close", () => closed.count++);
    // Where the queue of the kernel was full, only what is sent tells that there is no connection.
    socket.write(Uint8Array.of(0x16));
    sockets.push(socket);
    if (made % 100 === 0) expect(await channel.call("sign", MESSAGE)).toEqual(SIGNED);
  }
  // 32 may go on with TLS, and as many as channels may be open.
  await until(() => closed.count >= connections - 40);
  expect(await channel.call("sign", MESSAGE)).toEqual(SIGNED);
  expect(listener.channels).toHaveLength(1);
  for (const socket of sockets) socket.destroy();
  await until(() => closed.count === connections);
  await channel.close();
  const again = await connectChannel({ role: "agent", ...flooded.pair.agent, url });
  expect(await again.call("sign", MESSAGE)).toEqual(SIGNED);
  await again.close();
  await listener.close();
  report("connections at once", new Map([["closed", closed.count]]));
});

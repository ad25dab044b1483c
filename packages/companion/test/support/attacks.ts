import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { type ConnectionOptions, connect as connectTls, createSecureContext } from "node:tls";
import { toBase64 } from "@lango/crypto-core";
import { tlsOptionsOf } from "../../src/channel/trust.ts";
import type { Identity } from "../../src/pairing/identity.ts";
import type { Peer } from "../../src/peers.ts";
import { MAX_FRAME_BYTES } from "../../src/protocol/frame.ts";
import { attackTls, connectAs, joinAs, readToEnd, signRequest, upgradeAs } from "./attacker.ts";
import { forge } from "./certificates.ts";
import { type MemoryPeers, makeIdentity, peerOf } from "./devices.ts";

/** What stands under attack: a companion that listens, and its agent. */
export interface Target {
  readonly port: number;
  readonly agent: Identity;
  readonly companion: Identity;
  /** The pins of the companion. */
  readonly peers: MemoryPeers;
}

export interface Attack {
  readonly attempt: string;
  /** What the attacker gets to see; `closed` is a connection that ended without a byte of an answer. */
  readonly sees: string;
  readonly run: (target: Target) => Promise<string>;
  /** How many requests were done before the attack was seen. Default: 0. */
  readonly done?: number;
}

const BROKE = "1002 The other side broke the protocol: ";
const HOUR_MS = 3_600_000;

const tlsOf = (identity: Identity): ConnectionOptions => ({
  key: identity.privateKeyPem,
  cert: identity.certificatePem,
  minVersion: "TLSv1.3",
});

const pin = (peers: MemoryPeers, identity: Identity, changes: Partial<Peer> = {}): void => {
  peers.pins.set(identity.fingerprint, { ...peerOf(identity, "agent"), ...changes });
};

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

/** With the key of the attacker's own choice. */
export const STRANGERS: readonly Attack[] = [
  {
    attempt: "no certificate",
    sees: "closed",
    run: ({ port }) => attackTls(port, { minVersion: "TLSv1.3" }),
  },
  {
    attempt: "the certificate of a device that is not paired",
    sees: "closed",
    run: async ({ port }) => attackTls(port, tlsOf(await makeIdentity("stranger"))),
  },
  {
    attempt: "a certificate with name, serial number and dates of the paired one, and another key",
    sees: "closed",
    run: async ({ port, agent }) => attackTls(port, tlsOf(await forge({ like: agent }))),
  },
  {
    attempt: "the certificate of the paired device with another key",
    sees: "no TLS library takes it: ERR_OSSL_X509_KEY_VALUES_MISMATCH",
    run: async ({ agent }) => {
      const { privateKeyPem: key } = await makeIdentity("thief");
      try {
        createSecureContext({ key, cert: agent.certificatePem });
        return "taken";
      } catch (error) {
        return `no TLS library takes it: ${(error as NodeJS.ErrnoException).code}`;
      }
    },
  },
  {
    attempt: "an expired certificate of a paired key",
    sees: "closed",
    run: async ({ port, peers }) => {
      const expired = await forge({ notAfter: Date.now() - HOUR_MS, notBefore: 0 });
      pin(peers, expired);
      return attackTls(port, tlsOf(expired));
    },
  },
  {
    attempt: "a certificate of a paired key that is not valid yet",
    sees: "closed",
    run: async ({ port, peers }) => {
      const early = await forge({ notBefore: Date.now() + HOUR_MS });
      pin(peers, early);
      return attackTls(port, tlsOf(early));
    },
  },
  {
    attempt: "a paired device whose pin was changed",
    sees: "closed",
    run: async ({ port, agent, peers }) => {
      const next = await makeIdentity("next");
      await peers.replacePin(peerOf(agent, "agent").id, next.fingerprint);
      const seen = await attackTls(port, tlsOf(agent));
      peers.pins.set(agent.fingerprint, peerOf(agent, "agent"));
      return seen;
    },
  },
  {
    attempt: "a revoked device",
    sees: "closed",
    run: async ({ port, agent, peers }) => {
      peers.pins.delete(agent.fingerprint);
      const seen = await attackTls(port, tlsOf(agent));
      pin(peers, agent);
      return seen;
    },
  },
  {
    attempt: "a device that is suspended after a restore",
    sees: "closed",
    run: async ({ port, peers }) => {
      const restored = await makeIdentity("restored");
      pin(peers, restored, { state: "suspended" });
      return attackTls(port, tlsOf(restored));
    },
  },
  {
    attempt: "a paired companion that asks as if it were an agent",
    sees: "closed",
    run: async ({ port, peers }) => {
      const other = await makeIdentity("other companion");
      pin(peers, other, { role: "companion" });
      return attackTls(port, tlsOf(other));
    },
  },
  ...(["RSA", "P-384"] as const).map(
    (kind): Attack => ({
      attempt: `a pinned ${kind} key`,
      sees: "closed",
      run: async ({ port, peers }) => {
        const forged = await forge({ kind });
        pin(peers, forged);
        return attackTls(port, tlsOf(forged));
      },
    }),
  ),
  {
    attempt: "TLS 1.2",
    sees: "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION",
    run: ({ port, agent }) =>
      attackTls(port, { ...tlsOf(agent), minVersion: "TLSv1.2", maxVersion: "TLSv1.2" }),
  },
  {
    attempt: "plaintext ws://",
    sees: "closed",
    run: async ({ port }) => {
      const socket = connectTcp(port, "127.0.0.1");
      socket.write("GET /companion HTTP/1.1\r\nHost: companion\r\n\r\n");
      // OpenSSL says once, in TLS, that this was none.
      const seen = await readToEnd(socket);
      return seen.startsWith("HTTP") ? seen : "closed";
    },
  },
  {
    attempt: "a resumed session",
    sees: "a whole handshake: nothing is resumed",
    run: async ({ port, agent }) => {
      const tls = { host: "127.0.0.1", port, rejectUnauthorized: false, ...tlsOf(agent) };
      const first = connectTls(tls);
      // OpenSSL hands out a name of a session, which the listener does not keep.
      const [session] = (await once(first, "session")) as [Buffer];
      first.destroy();
      const second = connectTls({ ...tls, session });
      await once(second, "secureConnect");
      const isReused = second.isSessionReused();
      second.destroy();
      return isReused ? "resumed" : "a whole handshake: nothing is resumed";
    },
  },
  {
    attempt: "slow-loris in TLS",
    sees: "closed",
    run: async ({ port }) => {
      const socket = connectTcp(port, "127.0.0.1");
      // The head of a record that never comes.
      socket.write(Uint8Array.of(0x16, 3, 1, 2, 0));
      return readToEnd(socket);
    },
  },
  {
    attempt: "slow-loris in the upgrade",
    sees: "closed",
    run: async ({ port, agent }) => {
      const socket = await connectAs(port, agent);
      socket.write("GET /companion HTTP/1.1\r\n");
      const drip = setInterval(() => socket.write("X-More: 1\r\n"), 50);
      const seen = await readToEnd(socket);
      clearInterval(drip);
      return seen;
    },
  },
  {
    attempt: "slow-loris in the hello",
    sees: "1006",
    run: async ({ port, agent }) => (await upgradeAs(port, agent)).closed,
  },
];

const ID = "AAAAAAAAAAAAAAAAAAAAAA";

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

/** What stands under attack: an agent that listens, with two paired companions, both in the hands of the attacker. */
export interface AgentTarget {
  readonly port: number;
  readonly companion: Identity;
  readonly other: Identity;
  /** The agent asks that companion to sign; what it got, in one line. */
  readonly ask: (companion: Identity, timeoutMs?: number) => Promise<string>;
}

export interface AgentAttack {
  readonly attempt: string;
  readonly sees: string;
  /** What the request ended with. */
  readonly ends: string;
  readonly run: (target: AgentTarget) => Promise<{ readonly sees: string; readonly ends: string }>;
}

const LOST = "ERR_UNAVAILABLE";
const GOOD = {
  keyId: "key",
  keyVersion: "1",
  signature: toBase64(new Uint8Array(64)),
  algorithm: "ecdsa-p256-sha256",
};

/** A companion that answers the one request it gets with some frames. */
const answering =
  (frames: (id: string) => readonly object[]) =>
  async ({ port, companion, ask }: AgentTarget) => {
    const channel = await joinAs(port, companion, "companion");
    const ends = ask(companion);
    const { id } = await channel.next();
    for (const frame of frames(String(id))) channel.send(frame);
    return { sees: await channel.closed, ends: await ends };
  };

/** A companion that turned bad, against its agent. */
export const TRAITORS: readonly AgentAttack[] = [
  {
    attempt: "an answer to the request of another channel",
    sees: `${BROKE}an answer to no request of this channel`,
    ends: "signed",
    run: async ({ port, companion, other, ask }) => {
      const honest = await joinAs(port, companion, "companion");
      const traitor = await joinAs(port, other, "companion");
      const ends = ask(companion);
      const { id } = await honest.next();
      traitor.send({ id, result: { ...GOOD, keyId: "forged" } });
      const sees = await traitor.closed;
      honest.send({ id, result: GOOD });
      const outcome = await ends;
      honest.ws.terminate();
      return { sees, ends: outcome };
    },
  },
  {
    attempt: "a second answer",
    sees: `${BROKE}an answer to no request of this channel`,
    ends: "signed",
    run: answering((id) => [
      { id, result: GOOD },
      { id, result: { ...GOOD, keyId: "forged" } },
    ]),
  },
  {
    attempt: "an answer after the deadline",
    sees: "nothing: it is dropped",
    ends: "ERR_TIMEOUT",
    run: async ({ port, companion, ask }) => {
      const channel = await joinAs(port, companion, "companion");
      const ends = await ask(companion, 50);
      const { id } = await channel.next();
      channel.send({ id, result: GOOD });
      // The channel goes on: the next request is answered on it.
      const second = ask(companion);
      for (let frame = await channel.next(); ; frame = await channel.next()) {
        if (frame["method"] !== "sign") continue;
        channel.send({ id: frame["id"], result: GOOD });
        break;
      }
      const sees = (await second) === "signed" ? "nothing: it is dropped" : "another end";
      channel.ws.terminate();
      return { sees, ends };
    },
  },
  {
    attempt: "a second answer after the deadline",
    sees: `${BROKE}an answer to no request of this channel`,
    ends: "ERR_TIMEOUT",
    run: async ({ port, companion, ask }) => {
      const channel = await joinAs(port, companion, "companion");
      const ends = await ask(companion, 50);
      const { id } = await channel.next();
      channel.send({ id, result: GOOD });
      channel.send({ id, result: GOOD });
      return { sees: await channel.closed, ends };
    },
  },
  {
    attempt: "a result of another method",
    sees: `${BROKE}its answer is no result of sign`,
    ends: LOST,
    run: answering((id) => [{ id, result: { plaintext: "" } }]),
  },
  {
    attempt: "an error with a code that is not of the list",
    sees: `${BROKE}an answer to no request of this channel`,
    ends: LOST,
    run: answering((id) => [
      {
        id,
        error: { code: -32_000, message: "x", data: { code: "constructor", retryable: false } },
      },
      { id, result: GOOD },
    ]),
  },
  {
    attempt: "a heartbeat of no request",
    sees: `${BROKE}a heartbeat of no request of this channel`,
    ends: LOST,
    run: answering(() => [{ method: "waiting", params: { id: ID } }]),
  },
  {
    attempt: "a request to the agent",
    sees: `${BROKE}a request to the agent`,
    ends: LOST,
    run: answering(() => [signRequest()]),
  },
  {
    attempt: "a replayed answer",
    sees: `${BROKE}frame 2 was due: frames were repeated, reordered or left out`,
    ends: "signed",
    run: async ({ port, companion, ask }) => {
      const channel = await joinAs(port, companion, "companion");
      const ends = ask(companion);
      const { id } = await channel.next();
      const frame = JSON.stringify({ jsonrpc: "2.0", seq: 1, id, result: GOOD });
      channel.send(frame);
      channel.send(frame);
      return { sees: await channel.closed, ends: await ends };
    },
  },
];

import { createPublicKey, randomBytes } from "node:crypto";
import { type Bytes, verifySignature } from "@lango/crypto-core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type PythonClient, startClient } from "../../../tooling/services/client.ts";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import {
  type Channel,
  type ChannelListener,
  createChannelListener,
  createCompanionSurface,
  createPairingHost,
  type PairedPeer,
  type PairingHostOptions,
} from "../src/index.ts";
import { makePair, type Pair } from "./support/devices.ts";

// Both sides of every other test are ours. This companion was written from docs/companion-protocol.md, in another language
// and over another TLS binding: what it understands, the page says.
let agent: Pair["agent"];
let listener: ChannelListener;
let port: number;
let phone: PythonClient;

beforeEach(async () => {
  ({ agent } = await makePair());
  listener = createChannelListener({ role: "agent", ...agent });
  ({ port } = await listener.listen());
  phone = startClient(requireService("phone"), "phone.py", []);
});
afterEach(async () => {
  await phone.stop();
  await listener.close();
});

const pair = async (
  mode: PairingHostOptions["mode"] = { kind: "code" },
): Promise<PairedPeer & { digits?: string }> => {
  const host = createPairingHost({
    identity: agent.identity,
    role: "agent",
    name: "build machine",
    mode,
    store: async (peer) => {
      agent.peers.pins.set(peer.fingerprint, { ...peer, state: "active", pairedAt: 0 });
    },
  });
  listener.setPairing(host.accept);
  const joined = await phone.call("pair", { port, ...(host.code && { code: host.code }) });
  const peer = await host.done;
  listener.setPairing(undefined);
  const { fingerprint } = agent.identity;
  expect(joined).toMatchObject({ id: peer.id, pin: peer.fingerprint, agent: fingerprint });
  return { ...peer, digits: joined.digits };
};

/** A channel that the phone opened. */
const connect = async (): Promise<Channel> => {
  const known = listener.channels.length;
  expect(await phone.call("connect", { port })).toBe(agent.identity.fingerprint);
  while (listener.channels.length === known) await new Promise(setImmediate);
  const [channel] = listener.channels;
  if (channel === undefined) throw new Error("no channel");
  return channel;
};

const message: Bytes = new Uint8Array(randomBytes(100));
const newId = (): string => randomBytes(16).toString("base64url");

test("a companion written from the page pairs by code, and signs", async () => {
  const peer = await pair();
  expect(peer).toMatchObject({ name: "Ada's phone ☎", role: "companion" });
  const channel = await connect();
  const answering = phone.call("answer", { requests: 3 });
  const [status, { publicKey }, signed] = await Promise.all([
    channel.call("status", {}),
    channel.call("getPublicKey", { keyId: "main" }),
    channel.call("sign", { keyId: "main", message }),
  ]);
  expect(await answering).toEqual(["status", "getPublicKey", "sign"]);
  expect(status).toEqual({ name: "Ada's phone ☎", asks: true, keys: 1 });
  const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
  expect(verifySignature("ecdsa-p256-sha256", key, message, signed.signature)).toBe(true);
});

test("it pairs by comparing digits, which are the same on both sides", async () => {
  let shown: string | undefined;
  const confirm = async (digits: string) => {
    shown = digits;
    return true;
  };
  const { digits } = await pair({ kind: "compare", confirm });
  expect(digits).toMatch(/^\d{6}$/);
  expect(digits).toBe(shown);
  await connect();
});

test("its errors, and a method that it does not have, come as what they are", async () => {
  await pair();
  const channel = await connect();
  const answering = phone.call("answer", { requests: 2 });
  const missing = channel.call("sign", { keyId: "other", message });
  await expect(missing).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
  const unknown = channel.call("mac", { keyId: "main", message });
  await expect(unknown).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
  await answering;
});

test("one id gives one signature, also over another connection; another request under it is a conflict", async () => {
  await pair();
  const id = newId();
  const first = await connect();
  const ask = (channel: Channel, bytes = message) =>
    Promise.all([
      channel.call("sign", { keyId: "main", message: bytes }, { id }),
      phone.call("answer", { requests: 1 }),
    ]);
  const [signed] = await ask(first);
  await phone.call("disconnect", {});
  await first.closed;
  const second = await connect();
  expect((await ask(second))[0]).toEqual(signed);
  const other = ask(second, new Uint8Array(1));
  await expect(other).rejects.toMatchObject({ code: "ERR_CONFLICT" });
});

test.each([
  { dangerous: false, approved: true },
  { dangerous: true, approved: false },
])("an approval: its yes and its no are signed ($approved)", async ({ dangerous, approved }) => {
  await pair();
  const channel = await connect();
  const surface = createCompanionSurface({ channel: () => channel });
  const answering = phone.call("answer", { requests: 1 });
  const request = {
    commitment: new Uint8Array(randomBytes(32)),
    summary: ["Send 5 €", "to Ada"],
    dangerous,
    expiresAt: Date.now() + 60_000,
  };
  const answer = await surface.ask(request, new AbortController().signal);
  expect(answer).toMatchObject({ approved, by: "Ada's phone ☎", scope: "once" });
  await answering;
});

test("a phone that was revoked is closed, and gets no channel again", async () => {
  const peer = await pair();
  const channel = await connect();
  agent.peers.pins.delete(peer.fingerprint);
  await channel.closed;
  await expect(phone.call("answer", { requests: 1 })).rejects.toThrow("closed: 1008");
  await expect(phone.call("connect", { port })).rejects.toThrow();
  expect(listener.channels).toEqual([]);
});

test("a wrong code pairs nobody", async () => {
  const host = createPairingHost({
    identity: agent.identity,
    role: "agent",
    name: "build machine",
    mode: { kind: "code" },
    store: () => Promise.reject(new Error("kept")),
  });
  listener.setPairing(host.accept);
  const code = "0".repeat(26);
  await expect(phone.call("pair", { port, code })).rejects.toThrow("refused");
  host.cancel();
  await expect(host.done).rejects.toMatchObject({ code: "ERR_CLOSED" });
});

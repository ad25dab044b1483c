import { createPublicKey } from "node:crypto";
import { CryptoError } from "@lango/crypto-core";
import { afterEach, describe, expect, test } from "vitest";
import { createChannelListener } from "../src/channel/listener.ts";
import type { RequestHandler } from "../src/channel/types.ts";
import { newRequestId } from "../src/protocol/frame.ts";
import { upgradeAs } from "./support/attacker.ts";
import { closeAll, closeLater, link, MESSAGE, SIGNED, until } from "./support/channels.ts";
import { makePair } from "./support/devices.ts";

afterEach(closeAll);

const bytes = (length: number, value = 1): Uint8Array<ArrayBuffer> =>
  new Uint8Array(length).fill(value);

/** Answers as a companion of the old protocol would. */
const handler: RequestHandler = async ({ method, params }) => {
  switch (method) {
    case "sign":
      return SIGNED;
    case "encrypt":
      return { keyId: "key", keyVersion: "1", ciphertext: bytes(5, 2) };
    case "decrypt":
      return { plaintext: bytes(5) };
    case "approval.request":
      return { approved: true, signature: bytes(64), decidedAt: 1 };
    case "wallet.address":
      return { keyId: "wallet", address: `0x${"a".repeat(40)}` };
    case "wallet.sign":
      return {
        keyId: "wallet",
        keyVersion: "1",
        signature: bytes(65, "transaction" in params ? 3 : 4),
      };
    default:
      throw new CryptoError("ERR_UNSUPPORTED", `No ${method}`);
  }
};

describe("the event names of the old protocol", () => {
  test("every one of them, both ways", async () => {
    const { channel, requests } = await link({ handler, compatibility: true });
    expect(await channel.call("sign", MESSAGE)).toEqual(SIGNED);
    expect(await channel.call("encrypt", { keyId: "key", plaintext: bytes(5) })).toEqual({
      keyId: "key",
      keyVersion: "1",
      ciphertext: bytes(5, 2),
    });
    const decrypted = await channel.call("decrypt", { keyId: "key", ciphertext: bytes(5, 2) });
    expect(decrypted).toEqual({ plaintext: bytes(5) });
    const address = await channel.call("wallet.address", {});
    expect(address.address).toBe(`0x${"a".repeat(40)}`);
    const tx = await channel.call("wallet.sign", { transaction: bytes(9) });
    expect(tx.signature).toEqual(bytes(65, 3));
    const message = await channel.call("wallet.sign", { message: bytes(9) });
    expect(message.signature).toEqual(bytes(65, 4));
    const approval = await channel.call("approval.request", {
      commitment: bytes(32),
      summary: ["pay 3", "to x"],
      dangerous: true,
      expiresAt: Date.now() + 1000,
    });
    expect(approval).toMatchObject({ approved: true, signature: bytes(0) });
    expect(requests.map(({ method }) => method)).toEqual([
      "sign",
      "encrypt",
      "decrypt",
      "wallet.address",
      "wallet.sign",
      "wallet.sign",
      "approval.request",
    ]);
    expect(requests[0]?.params).toEqual({ ...MESSAGE, algorithm: SIGNED.algorithm });
    expect(requests[6]?.params).toMatchObject({ summary: ["pay 3", "to x"] });
  });

  test("errors keep their code", async () => {
    const failure = new CryptoError("ERR_DENIED", "Denied: by a person");
    const { channel } = await link({ handler: () => Promise.reject(failure), compatibility: true });
    await expect(channel.call("sign", MESSAGE)).rejects.toMatchObject({
      code: "ERR_DENIED",
      message: "Denied: by a person",
    });
  });

  test("what it has no word for is ERR_UNSUPPORTED, and not asked", async () => {
    const { channel, requests } = await link({ handler, compatibility: true });
    const unsupported = { code: "ERR_UNSUPPORTED" };
    await expect(channel.call("status", {})).rejects.toMatchObject(unsupported);
    const mac = channel.call("mac", { keyId: "key", message: bytes(1) });
    await expect(mac).rejects.toMatchObject(unsupported);
    const digest = channel.call("sign", { keyId: "key", digest: bytes(32) });
    await expect(digest).rejects.toMatchObject(unsupported);
    const bound = channel.call("encrypt", { keyId: "k", plaintext: bytes(1), aad: bytes(1) });
    await expect(bound).rejects.toMatchObject(unsupported);
    expect(requests).toHaveLength(0);
  });

  test("without the option a side that speaks it is refused", async () => {
    const { pair, port } = await link({ handler });
    const upgrading = upgradeAs(port, pair.agent.identity, { protocols: [] });
    await expect(upgrading).rejects.toThrow("HTTP 426");
  });

  test("a listener with the option takes version 1 as well", async () => {
    const { channel, requests } = await link({ handler, listener: { compatibility: true } });
    await expect(channel.call("status", {})).rejects.toMatchObject({ message: "No status" });
    expect(requests).toHaveLength(1);
  });
});

describe("an app of the old protocol, as it is on the wire", () => {
  const start = async () => {
    const { agent, companion } = await makePair();
    const listener = createChannelListener({ role: "agent", ...agent, compatibility: true });
    closeLater(() => listener.close());
    const { port } = await listener.listen();
    const app = await upgradeAs(port, companion.identity, { protocols: [] });
    return { listener, app, companion: companion.identity };
  };
  const spki = (pem: string): string =>
    createPublicKey(pem).export({ type: "spki", format: "der" }).toString("base64");

  test("hello, events, answers and their acknowledgements", async () => {
    const { listener, app, companion } = await start();
    const publicKey = spki(companion.privateKeyPem);
    const hello = { id: 1, method: "companion.hello", params: { deviceId: "phone", publicKey } };
    app.send(JSON.stringify(hello));
    expect(await app.next()).toEqual({ id: 1, result: { status: "ok" } });
    await until(() => listener.channels.length === 1);
    const signing = listener.channels[0]?.call("sign", MESSAGE);
    const event = (await app.next()) as { event: string; payload: Record<string, string> };
    const message = Buffer.from(MESSAGE.message ?? []).toString("base64");
    const id = event.payload["id"];
    expect(event).toEqual({
      type: "event",
      event: "sign.request",
      payload: { id, keyId: "key", payload: message },
    });
    const signature = Buffer.from(SIGNED.signature).toString("base64");
    const answer = { id: "2", method: "sign.response", params: { id, signature } };
    app.send(JSON.stringify(answer));
    expect(await signing).toEqual(SIGNED);
    expect(await app.next()).toEqual({ id: "2", result: { status: "ok" } });
    // A second answer, and one that was not asked for, are dropped.
    app.send(JSON.stringify(answer));
    expect(await app.next()).toEqual({ id: "2", result: { status: "ok" } });
    app.send(JSON.stringify({ id: "3", method: "other", params: {} }));
    expect(await app.next()).toMatchObject({ id: "3", error: { code: -32_601 } });

    const approving = listener.channels[0]?.call("approval.request", {
      commitment: bytes(32),
      summary: ["pay"],
      dangerous: true,
      expiresAt: 0,
    });
    const asked = (await app.next()) as { payload: Record<string, string> };
    expect(asked.payload["message"]).toBe("pay");
    const always = { requestId: asked.payload["id"], approved: true, alwaysAllow: true };
    app.send(JSON.stringify({ id: "4", method: "approval.response", params: always }));
    await expect(approving).rejects.toMatchObject({ code: "ERR_DENIED" });
    app.ws.terminate();
  });

  test("a hello with another key than that of TLS is refused", async () => {
    const { app } = await start();
    const params = { deviceId: "phone", publicKey: "AAAA" };
    app.send(JSON.stringify({ id: 1, method: "companion.hello", params }));
    expect(await app.closed).toContain("its hello shows another key than TLS");
  });

  test("a text that is none ends the channel, and with it what is asked, typed", async () => {
    const { listener, app, companion } = await start();
    const publicKey = spki(companion.privateKeyPem);
    const hello = { id: 1, method: "companion.hello", params: { deviceId: "phone", publicKey } };
    app.send(JSON.stringify(hello));
    await until(() => listener.channels.length === 1);
    const signing = listener.channels[0]?.call("sign", MESSAGE);
    await app.next();
    const { payload } = (await app.next()) as { payload: Record<string, string> };
    // Whoever made a text of that would throw.
    const params = { id: payload["id"], error: { toString: 1, valueOf: 1 } };
    app.send(JSON.stringify({ id: 2, method: "sign.response", params }));
    await expect(signing).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
    expect(await app.closed).toContain("an error is no text");
  });

  test("an app that calls, and reads no acknowledgement, is closed", async () => {
    const { app, listener, companion } = await start();
    const publicKey = spki(companion.privateKeyPem);
    const hello = { id: 1, method: "companion.hello", params: { deviceId: "phone", publicKey } };
    app.send(JSON.stringify(hello));
    await until(() => listener.channels.length === 1);
    const gone = listener.channels[0]?.closed;
    app.ws.pause();
    // Each is given back with its id.
    const call = JSON.stringify({ id: "x".repeat(200_000), method: "other", params: {} });
    for (let sent = 0; sent < 100; sent++) app.send(call);
    expect(await gone).toContain("does not read");
    app.ws.terminate();
  });

  test("an approval whose message is no text is refused", async () => {
    const { port, pair } = await link({ handler, listener: { compatibility: true } });
    const agent = await upgradeAs(port, pair.agent.identity, { protocols: [] });
    const payload = { id: newRequestId(), message: { toString: 1, valueOf: 1 } };
    agent.send(JSON.stringify({ type: "event", event: "approval.request", payload }));
    expect(await agent.closed).toContain("a message is no text");
  });

  test("an answer before the hello is refused", async () => {
    const { app } = await start();
    app.send('{"id":1,"method":"sign.response"}');
    expect(await app.closed).toContain("a frame is no call");
  });
});

import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:https";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CryptoError } from "@lango/crypto-core";
import { afterEach, describe, expect, test } from "vitest";
import { connectChannel } from "../src/channel/connect.ts";
import { createChannelListener } from "../src/channel/listener.ts";
import type { Channel } from "../src/channel/types.ts";
import { newRequestId } from "../src/protocol/frame.ts";
import { upgradeAs } from "./support/attacker.ts";
import {
  closeAll,
  closeLater,
  hangs,
  link,
  MESSAGE,
  SIGNED,
  signs,
  until,
} from "./support/channels.ts";
import { makeIdentity, makePair, peerOf } from "./support/devices.ts";

afterEach(closeAll);

describe("requests", () => {
  test("an answer comes back; both sides know the device and the binding", async () => {
    const { channel, requests, pair } = await link({ handler: signs });
    expect(await channel.call("sign", MESSAGE)).toEqual(SIGNED);
    expect(requests[0]).toMatchObject({ method: "sign", params: MESSAGE });
    expect(requests[0]?.peer.fingerprint).toBe(pair.agent.identity.fingerprint);
    expect(channel.peer.fingerprint).toBe(pair.companion.identity.fingerprint);
    expect(requests[0]?.binding).toEqual(channel.binding);
    expect(channel.binding).toHaveLength(32);
  });

  test("what was decrypted is zeroed when it is on its way", async () => {
    const [plaintext, key] = [new Uint8Array(9).fill(1), new Uint8Array(32).fill(2)];
    const { channel } = await link({
      handler: async ({ method }) => (method === "decrypt" ? { plaintext } : { key }),
    });
    const sealed = new Uint8Array(40);
    const opened = await channel.call("decrypt", { keyId: "key", ciphertext: sealed });
    expect(opened.plaintext).toEqual(new Uint8Array(9).fill(1));
    const unwrapped = await channel.call("unwrapKey", { keyId: "key", wrappedKey: sealed });
    expect(unwrapped.key).toEqual(new Uint8Array(32).fill(2));
    expect([plaintext, key]).toEqual([new Uint8Array(9), new Uint8Array(32)]);
  });

  test("the hash is of method and params: the same for the same request, another for another", async () => {
    const { channel, requests } = await link({ handler: signs });
    const id = newRequestId();
    await channel.call("sign", MESSAGE, { id });
    await channel.call("sign", MESSAGE, { id });
    await channel.call("sign", { ...MESSAGE, keyId: "other" });
    // The same params, of another method.
    await channel
      .call("mac", { keyId: "key", message: new Uint8Array(32).fill(7) })
      .catch(() => {});
    const [first, again, other, mac] = requests.map((request) => request.hash);
    expect(requests[0]?.id).toBe(id);
    expect(first).toHaveLength(32);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    expect(requests[3]?.params).toEqual(MESSAGE);
    expect(mac).not.toEqual(first);
  });

  test("errors keep their code, message, hint and whether a retry helps; nothing else goes out", async () => {
    const failure = new CryptoError("ERR_KEY_DISABLED", "Key k is disabled\u001b[31m", {
      retryable: true,
      context: { hint: "Enable it", keyId: "not for the wire" },
      cause: new Error("nor this"),
    });
    const { channel } = await link({ handler: () => Promise.reject(failure) });
    const error = await channel.call("sign", MESSAGE).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: "ERR_KEY_DISABLED",
      message: "Key k is disabled [31m",
      retryable: true,
      context: { hint: "Enable it" },
    });
    expect((error as CryptoError).context).not.toHaveProperty("keyId");
    expect((error as CryptoError).cause).toBeUndefined();
  });

  test("what is no CryptoError goes out without its message", async () => {
    const { channel } = await link({ handler: () => Promise.reject(new Error("secret 1234")) });
    const error = await channel.call("sign", MESSAGE).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "ERR_INTERNAL" });
    expect((error as Error).message).not.toContain("1234");
  });

  test("a result that does not fit its method is an error of the companion", async () => {
    const { channel } = await link({ handler: async () => ({ plaintext: new Uint8Array(1) }) });
    await expect(channel.call("sign", MESSAGE)).rejects.toMatchObject({ code: "ERR_INTERNAL" });
    await expect(channel.call("sign", MESSAGE)).rejects.toMatchObject({ code: "ERR_INTERNAL" });
  });

  test("wrong arguments are refused before anything is sent", async () => {
    const { channel, requests } = await link({ handler: signs });
    const invalid = { code: "ERR_INVALID_ARGUMENT" };
    await expect(channel.call("sign", { keyId: "" })).rejects.toMatchObject(invalid);
    await expect(channel.call("sign", MESSAGE, { id: "1" })).rejects.toMatchObject(invalid);
    await expect(channel.call("sign", MESSAGE, { timeoutMs: 0 })).rejects.toMatchObject(invalid);
    const message = new Uint8Array(65_537);
    await expect(channel.call("sign", { keyId: "k", message })).rejects.toMatchObject(invalid);
    expect(requests).toHaveLength(0);
  });

  test("one more than may be in flight is refused at once, and the others go on", async () => {
    const { channel } = await link({ handler: hangs, limits: { requests: 3 } });
    const stop = new AbortController();
    const three = [1, 2, 3].map(() => channel.call("sign", MESSAGE, { signal: stop.signal }));
    const refused = { code: "ERR_RATE_LIMITED", retryable: true };
    await expect(channel.call("sign", MESSAGE)).rejects.toMatchObject(refused);
    stop.abort(new Error("enough"));
    for (const result of await Promise.allSettled(three)) {
      expect(result).toMatchObject({ status: "rejected", reason: { message: "enough" } });
    }
  });

  test("an id that is in flight is refused", async () => {
    const { channel } = await link({ handler: hangs });
    const id = newRequestId();
    const stop = new AbortController();
    const first = channel.call("sign", MESSAGE, { id, signal: stop.signal });
    const second = channel.call("sign", MESSAGE, { id });
    await expect(second).rejects.toMatchObject({ code: "ERR_CONFLICT" });
    stop.abort(new Error("enough"));
    await expect(first).rejects.toThrow("enough");
  });
});

describe("connections", () => {
  test("the companion may dial, and the agent still asks", async () => {
    const { agent, companion } = await makePair();
    const accepted = Promise.withResolvers<Channel>();
    const listener = createChannelListener({
      role: "agent",
      ...agent,
      onChannel: accepted.resolve,
    });
    closeLater(() => listener.close());
    const { port } = await listener.listen();
    const url = `https://127.0.0.1:${port}/whatever`;
    await connectChannel({ role: "companion", ...companion, url, handler: signs });
    const channel = await accepted.promise;
    expect(listener.channels).toEqual([channel]);
    expect(await channel.call("sign", MESSAGE)).toEqual(SIGNED);
  });

  test("a listener can be mounted in a server of others", async () => {
    const { agent, companion } = await makePair();
    const listener = createChannelListener({ role: "companion", ...companion, handler: signs });
    const server = createServer(listener.tlsOptions, (_request, response) => response.end("other"));
    server.on("upgrade", listener.handleUpgrade);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closeLater(async () => {
      await listener.close();
      await new Promise((resolve) => server.close(resolve));
    });
    const { port } = server.address() as { port: number };
    const url = `wss://127.0.0.1:${port}`;
    const channel = await connectChannel({ role: "agent", ...agent, url });
    expect(await channel.call("sign", MESSAGE)).toEqual(SIGNED);
    const stranger = await makeIdentity("stranger");
    await expect(upgradeAs(port, stranger)).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  test("of a device has others beside it; of one too many the oldest goes", async () => {
    const { channel, listener, pair, url } = await link({
      handler: hangs,
      listener: { maxChannelsOfOne: 2 },
    });
    const pending = channel.call("sign", MESSAGE).catch((reason: unknown) => reason);
    const second = await connectChannel({ role: "agent", ...pair.agent, url });
    await until(() => listener.channels.length === 2);
    const third = await connectChannel({ role: "agent", ...pair.agent, url });
    expect(await pending).toMatchObject({ code: "ERR_UNAVAILABLE", retryable: true });
    expect(await channel.closed).toContain("replaced");
    await until(() => listener.channels.length === 2);
    await second.close();
    await third.close();
  });

  test("more devices than the listener takes are told so", async () => {
    const { pair, url } = await link({ handler: signs, listener: { maxChannels: 1 } });
    const other = await makeIdentity("other");
    pair.companion.peers.pins.set(other.fingerprint, peerOf(other, "agent"));
    const dialling = connectChannel({ role: "agent", ...pair.agent, identity: other, url });
    await expect(dialling).rejects.toMatchObject({ code: "ERR_RATE_LIMITED", retryable: true });
  });

  test("closing ends what is in flight, on both sides", async () => {
    const { channel, requests } = await link({ handler: hangs });
    const pending = channel.call("sign", MESSAGE).catch((reason: unknown) => reason);
    await until(() => requests.length === 1);
    await channel.close();
    expect(await pending).toMatchObject({ code: "ERR_CLOSED" });
    await expect(channel.call("sign", MESSAGE)).rejects.toMatchObject({ code: "ERR_CLOSED" });
    await until(() => requests[0]?.signal.aborted === true);
    await channel.close();
  });

  test("a listener that closes ends its channels; the agent may try again", async () => {
    const { channel, listener } = await link({ handler: hangs });
    const pending = channel.call("sign", MESSAGE).catch((reason: unknown) => reason);
    await listener.close();
    expect(await pending).toMatchObject({ code: "ERR_UNAVAILABLE", retryable: true });
    await listener.close();
    expect(listener.channels).toEqual([]);
  });

  test("a listener closes at once, also with connections that are in TLS or pairing", async () => {
    const { listener, port } = await link({ handler: signs });
    listener.setPairing(() => {});
    const path = "/companion/pair";
    const pairing = await upgradeAs(port, await makeIdentity("stranger"), { path, protocols: [] });
    const silent = connect(port, "127.0.0.1");
    silent.on("error", () => {});
    await once(silent, "connect");
    const gone = once(silent, "close");
    const startedAt = performance.now();
    await listener.close();
    // Without that, TLS would have its five seconds.
    expect(performance.now() - startedAt).toBeLessThan(4000);
    await gone;
    expect(await pairing.closed).toBe("1006");
  });

  test("nobody there is an instant typed error", async () => {
    const { agent } = await makePair();
    const dialling = connectChannel({ role: "agent", ...agent, url: "wss://127.0.0.1:1" });
    await expect(dialling).rejects.toMatchObject({ code: "ERR_UNAVAILABLE", retryable: true });
  });

  test.each(["ws://127.0.0.1:1", "http://127.0.0.1:1", "127.0.0.1"])(
    "%s is refused",
    async (url) => {
      const { agent } = await makePair();
      const dialling = connectChannel({ role: "agent", ...agent, url });
      await expect(dialling).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    },
  );

  test("an abort ends dialling with its reason", async () => {
    const { agent } = await makePair();
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    const dialling = connectChannel({ role: "agent", ...agent, url: "wss://127.0.0.1:1", signal });
    await expect(dialling).rejects.toBe(reason);
  });

  test("events tell of connections, refusals and ends, and what they throw is ignored", async () => {
    const { channel, events, port } = await link({ handler: signs });
    await expect(upgradeAs(port, await makeIdentity("stranger"))).rejects.toThrow();
    await channel.close();
    await until(() => events.length === 3);
    expect(events).toMatchObject([
      { type: "connected", peer: { role: "agent" } },
      { type: "refused", address: "127.0.0.1" },
      { type: "closed", peer: { role: "agent" } },
    ]);
  });

  test("while a pairing is open strangers reach it, and nothing else", async () => {
    const { listener, port } = await link({ handler: signs });
    const stranger = await makeIdentity("stranger");
    const fingerprints: (string | undefined)[] = [];
    listener.setPairing((ws, connection) => {
      fingerprints.push(connection.getPeerX509Certificate()?.fingerprint256);
      ws.close(4000);
    });
    const path = "/companion/pair";
    const pairing = await upgradeAs(port, stranger, { path, protocols: [] });
    expect(await pairing.closed).toBe("4000");
    expect(fingerprints).toHaveLength(1);
    await expect(upgradeAs(port, stranger)).rejects.toMatchObject({ code: "ECONNRESET" });
    listener.setPairing(undefined);
    await expect(upgradeAs(port, stranger, { path })).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(fingerprints).toHaveLength(1);
  });

  test("a process that used both sides ends by itself", async () => {
    const script = fileURLToPath(new URL("support/uses-and-ends.ts", import.meta.url));
    const args = ["--conditions=@lango/source", script];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
    expect(stdout).toBe("signed\n");
  });
});

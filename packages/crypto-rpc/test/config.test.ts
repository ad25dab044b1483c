import { loadProvider } from "@lango/crypto-core";
import { afterAll, describe, expect, test } from "vitest";
import { createRpcProvider, provider } from "../src/index.ts";
import { makePair } from "./support/companion.ts";

const pair = await makePair();
afterAll(() => pair.remove());
const { parse } = provider.configSchema;
const pin = { id: pair.companion.id, name: "phone", fingerprint: pair.companion.fingerprint };
const config = {
  rpcUrl: "https://phone.local:7451",
  identityFolder: `${pair.folder}/agent`,
  companions: [pin],
};

test("is found by its name, and speaks to the companion that is pinned", async () => {
  const companion = await pair.start();
  const found = await loadProvider("rpc", { import: () => import("../src/index.ts") });
  const settings = { ...config, rpcUrl: companion.url, keyId: "data" };
  const made = await found.create(found.configSchema.parse(settings), {});
  expect(await made.describeKey({ keyId: "default" })).toMatchObject({
    keyId: "data",
    algorithm: "aes-256-gcm",
    protection: "remote",
  });
  await made.close();
  const stranger = { ...pin, fingerprint: pair.agent.fingerprint };
  const other = await found.create(
    found.configSchema.parse({ ...settings, companions: [stranger] }),
    {},
  );
  const call = other.describeKey({ keyId: "default" });
  await expect(call).rejects.toMatchObject({ code: "ERR_ACCESS_DENIED", retryable: false });
  await other.close();
  await companion.stop();
});

describe("the configuration", () => {
  test("takes its six settings", () => {
    const all = { ...config, keyId: "k", timeoutMs: 1000, approvalTimeoutMs: 600_000 };
    expect(parse(all)).toEqual(all);
    expect(parse({ ...config, rpcUrl: "wss://[::1]:1", keyId: undefined })).toMatchObject({
      rpcUrl: "wss://[::1]:1",
    });
  });

  const wrong: readonly [unknown, RegExp][] = [
    [null, /no object/],
    ["x", /no object/],
    [[], /no object/],
    [{}, /rpcUrl: is not set; identityFolder: is not set; companions: is not set/],
    [{ ...config, url: "https://a" }, /url: unknown/],
    [{ ...config, rpcUrl: "ws://phone.local" }, /rpcUrl: must be https/],
    [{ ...config, rpcUrl: "http://127.0.0.1" }, /rpcUrl: must be https/],
    [{ ...config, rpcUrl: "https://user:word@phone.local" }, /rpcUrl/],
    [{ ...config, rpcUrl: "phone.local:7451" }, /rpcUrl/],
    [{ ...config, keyId: 1 }, /keyId/],
    [{ ...config, keyId: "k".repeat(513) }, /keyId/],
    [{ ...config, identityFolder: "" }, /identityFolder/],
    [{ ...config, companions: [] }, /companions/],
    [{ ...config, companions: [{ ...pin, fingerprint: "x" }] }, /companions/],
    [{ ...config, companions: [{ ...pin, name: "a\nb" }] }, /companions/],
    [{ ...config, companions: [{ ...pin, role: "agent" }] }, /companions/],
    [{ ...config, companions: [null] }, /companions/],
    [{ ...config, timeoutMs: 0 }, /timeoutMs/],
    [{ ...config, approvalTimeoutMs: 600_001 }, /approvalTimeoutMs/],
    [{ ...config, a: 1, timeoutMs: "1" }, /a: unknown; timeoutMs/],
  ].map(([input, fault]) => [input, fault as RegExp]);
  test.each(wrong)("refuses %j", (input, message) => {
    expect(() => parse(input)).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG", message: expect.stringMatching(message) }),
    );
  });

  test("no connection without TLS in code either, also when the address is found later", async () => {
    const { identity, peers } = pair;
    expect(() => createRpcProvider({ url: "ws://127.0.0.1:1", identity, peers })).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG" }),
    );
    // An app in JavaScript that has none yet.
    expect(() => createRpcProvider({ url: undefined as never, identity, peers })).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG" }),
    );
    const found = createRpcProvider({ url: async () => "http://127.0.0.1:1", identity, peers });
    const call = found.describeKey({ keyId: "k" });
    await expect(call).rejects.toMatchObject({ code: "ERR_CONFIG" });
    await found.close();
  });
});

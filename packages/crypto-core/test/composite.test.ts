import {
  CryptoError,
  type CryptoErrorCode,
  type CryptoProvider,
  createComposite,
  createCryptoClient,
  ERROR_CODES,
  type FallbackOptions,
  type SwitchEvent,
  utf8,
} from "@lango/crypto-core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  codeOf,
  createGate,
  errorOf,
  KEY_CALLS,
  MemoryProvider,
  unavailable,
} from "./memory-provider.ts";

const AVAILABILITY: readonly CryptoErrorCode[] = [
  "ERR_UNAVAILABLE",
  "ERR_TIMEOUT",
  "ERR_CIRCUIT_OPEN",
];
const OTHER_CODES = (Object.keys(ERROR_CODES) as CryptoErrorCode[]).filter(
  (code) => !AVAILABILITY.includes(code),
);
const KEY_OPERATIONS = Object.keys(KEY_CALLS) as (keyof typeof KEY_CALLS)[];
const plaintext = utf8("text");

let remote: MemoryProvider;
let local: MemoryProvider;
let events: SwitchEvent[];
let composite: CryptoProvider;

const build = (fallback?: Partial<FallbackOptions>): CryptoProvider =>
  createComposite({
    providers: { remote, local },
    fallback: { from: "remote", to: "local:default", ...fallback },
    onSwitch: (event) => {
      events.push(event);
    },
  });

beforeEach(() => {
  // The same name of a key on both sides: only the scheme tells them apart.
  remote = new MemoryProvider("remote", ["default", "k1"]);
  local = new MemoryProvider("local", ["default", "k1"]);
  events = [];
  composite = build();
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe("routing", () => {
  it("goes by the scheme of the URI and gives URIs back", async () => {
    for (const uri of ["remote:k1", "local:k1"]) {
      const sealed = await composite.encrypt({ keyId: uri, plaintext });
      expect(sealed.keyId).toBe(uri);
      expect(sealed.degraded).toBeUndefined();
      expect(await composite.decrypt(sealed)).toEqual(plaintext);
      for (const operation of ["sign", "mac", "wrapKey", "getPublicKey", "createKey"] as const) {
        expect(await KEY_CALLS[operation](composite, uri)).toMatchObject({ keyId: uri });
      }
      expect(await composite.rotateKey?.({ keyId: uri })).toMatchObject({ keyId: uri });
      expect(await composite.describeKey({ keyId: uri })).toMatchObject({ keyId: uri });
    }
    expect(remote.calls).toEqual(local.calls);
    expect(remote.calls).toHaveLength(9);
    expect(remote.last).toMatchObject({ keyId: "k1" });
  });

  it("verifies with the key that signed", async () => {
    const message = utf8("message");
    const signed = await composite.sign?.({ keyId: "remote:k1", message });
    const maced = await composite.mac?.({ keyId: "local:k1", message });
    if (signed === undefined || maced === undefined) throw new Error("not offered");
    expect(await composite.verify?.({ ...signed, message })).toBe(true);
    expect(await composite.verify?.({ ...signed, message, keyId: "local:k1" })).toBe(false);
    expect(await composite.verifyMac?.({ ...maced, message })).toBe(true);
    expect(await composite.verifyMac?.({ ...maced, message, keyId: "remote:k1" })).toBe(false);
  });

  it.each(KEY_OPERATIONS)(
    "%s knows no key of an unknown scheme, and no word without a scheme",
    async (operation) => {
      for (const uri of ["aws-kms:k1", "constructor:k1"]) {
        expect(await codeOf(KEY_CALLS[operation](composite, uri))).toBe("ERR_KEY_NOT_FOUND");
      }
      expect(await codeOf(KEY_CALLS[operation](composite, "k1"))).toBe("ERR_INVALID_ARGUMENT");
      expect([...remote.calls, ...local.calls]).toEqual([]);
    },
  );

  it("re-wraps within one scheme, under the provider's own names, and across schemes never", async () => {
    const keyId = "remote:k1";
    const toKeyId = "remote:default";
    const wrapped = await composite.wrapKey?.({ keyId, key: new Uint8Array(32) });
    if (wrapped === undefined) throw new Error("not offered");
    const moved = await composite.rewrapKey?.({ ...wrapped, toKeyId });
    expect(moved).toMatchObject({ keyId: toKeyId });
    expect(remote.last).toMatchObject({ keyId: "k1", toKeyId: "default" });
    expect(await remote.unwrapKey({ ...moved!, keyId: "default" })).toEqual(new Uint8Array(32));
    remote.calls.length = 0;
    for (const other of ["local:default", "constructor:k1", "default", ""]) {
      const call = composite.rewrapKey?.({ ...wrapped, toKeyId: other });
      expect(await codeOf(call as Promise<unknown>), other).toBe("ERR_INVALID_ARGUMENT");
    }
    expect([...remote.calls, ...local.calls]).toEqual([]);
  });

  it("refuses a new key without a URI", async () => {
    const call = composite.createKey?.({ algorithm: "aes-256-gcm", usage: "encryption" });
    expect(await codeOf(call as Promise<unknown>)).toBe("ERR_INVALID_ARGUMENT");
  });

  it("lists the keys of all, as URIs", async () => {
    const keys: string[] = [];
    for await (const key of composite.listKeys?.({}) ?? []) keys.push(key.keyId);
    expect(keys).toEqual(["remote:default", "remote:k1", "local:default", "local:k1"]);
  });

  it("checks a request against the provider that it goes to", async () => {
    remote.capabilities = { ...remote.capabilities, aad: false, maxPlaintextBytes: 3 };
    composite = build();
    const aad = utf8("aad");
    expect(composite.capabilities).toMatchObject({ aad: true, maxPlaintextBytes: 4096 });
    expect(
      await codeOf(composite.encrypt({ keyId: "remote:k1", plaintext: new Uint8Array(3), aad })),
    ).toBe("ERR_UNSUPPORTED");
    expect(await codeOf(composite.encrypt({ keyId: "remote:k1", plaintext }))).toBe(
      "ERR_INVALID_ARGUMENT",
    );
    expect(await codeOf(composite.encrypt({ keyId: "local:k1", plaintext, aad }))).toBe("ok");
    expect(remote.calls).toEqual([]);
  });

  it("is as protected as its weakest part, and offers no random", () => {
    remote.capabilities = { ...remote.capabilities, protection: "hsm" };
    local.capabilities = { ...local.capabilities, remote: false };
    expect(build().capabilities).toMatchObject({ protection: "software", remote: true });
    expect(build().capabilities.operations).not.toContain("random");
  });

  it("is healthy when all are, and asks one when a key is named", async () => {
    expect(await composite.health({})).toMatchObject({ healthy: true });
    remote.health = async () => ({ healthy: false, checkedAt: 5, latencyMs: 7, reason: "down" });
    expect(await composite.health({})).toEqual({
      healthy: false,
      checkedAt: 5,
      latencyMs: 7,
      reason: "remote: down",
    });
    expect(await composite.health({ keyId: "local:k1" })).toMatchObject({ healthy: true });
    expect(await composite.health({ keyId: "remote:k1" })).toMatchObject({ healthy: false });
  });

  it("closes each provider once, all of them even if one fails", async () => {
    const both = createComposite({ providers: { a: remote, b: remote, c: local } });
    await both.close();
    expect([remote.closed, local.closed]).toEqual([1, 1]);
    remote.close = async () => {
      throw unavailable();
    };
    expect(await codeOf(both.close())).toBe("ERR_UNAVAILABLE");
    expect(local.closed).toBe(2);
  });

  it.each([
    [{ from: "remote", to: "absent:default" }, "ERR_CONFIG"],
    [{ from: "absent", to: "local:default" }, "ERR_CONFIG"],
    [{ from: "remote", to: "remote:default" }, "ERR_CONFIG"],
    [{ from: "remote", to: "local" }, "ERR_INVALID_ARGUMENT"],
  ])("refuses the fallback %j", (fallback, code) => {
    expect(() => build(fallback)).toThrow(expect.objectContaining({ code }));
  });

  it("refuses a scheme that no URI can name", () => {
    expect(() => createComposite({ providers: { "Not OK": local } })).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }),
    );
  });
});

describe("fallback", () => {
  it.each(AVAILABILITY)(
    "takes over encrypt on %s, labelled, reported, and readable",
    async (code) => {
      const error = new CryptoError(code, "not there");
      remote.fault = error;
      const sealed = await composite.encrypt({ keyId: "remote:k1", plaintext, aad: utf8("aad") });
      expect(sealed).toMatchObject({ keyId: "local:default", keyVersion: "1", degraded: true });
      expect(events).toEqual([
        { operation: "encrypt", from: "remote:k1", to: "local:default", error },
      ]);
      expect(await composite.decrypt({ ...sealed, aad: utf8("aad") })).toEqual(plaintext);
      expect(remote.calls).toEqual(["encrypt"]);
    },
  );

  it.each(OTHER_CODES)("does not take over on %s", async (code) => {
    remote.fault = new CryptoError(code, "answered", { retryable: true });
    for (const wrap of [false, true]) {
      composite = build({ wrap });
      expect(await codeOf(KEY_CALLS.encrypt(composite, "remote:k1"))).toBe(code);
      expect(await codeOf(KEY_CALLS.wrapKey(composite, "remote:k1"))).toBe(code);
    }
    expect(local.calls).toEqual([]);
    expect(events).toEqual([]);
  });

  it("does not take over on an error of unknown kind", async () => {
    remote.fault = new TypeError("fetch failed");
    expect(await errorOf(KEY_CALLS.encrypt(composite, "remote:k1"))).toBe(remote.fault);
    expect(local.calls).toEqual([]);
  });

  it.each(KEY_OPERATIONS.filter((operation) => operation !== "encrypt"))(
    "never takes over %s",
    async (operation) => {
      remote.fault = unavailable;
      expect(await codeOf(KEY_CALLS[operation](composite, "remote:k1"))).toBe("ERR_UNAVAILABLE");
      expect(local.calls).toEqual([]);
      expect(events).toEqual([]);
    },
  );

  it("takes over wrapKey only where that is asked for, and nothing else with it", async () => {
    composite = build({ wrap: true });
    remote.fault = unavailable;
    expect(await KEY_CALLS.wrapKey(composite, "remote:k1")).toMatchObject({
      keyId: "local:default",
      degraded: true,
    });
    expect(events).toMatchObject([{ operation: "wrapKey", to: "local:default" }]);
    for (const operation of KEY_OPERATIONS) {
      if (operation === "encrypt" || operation === "wrapKey") continue;
      expect(await codeOf(KEY_CALLS[operation](composite, "remote:k1"))).toBe("ERR_UNAVAILABLE");
    }
  });

  it("decrypts by the URI alone: what the other key sealed is not tried with it", async () => {
    const sealed = await local.encrypt({ keyId: "k1", plaintext });
    local.calls.length = 0;
    const call = composite.decrypt({ keyId: "remote:k1", ciphertext: sealed.ciphertext });
    expect(await codeOf(call)).toBe("ERR_DECRYPTION_FAILED");
    expect(local.calls).toEqual([]);
    remote.fault = unavailable;
    const down = composite.decrypt({ keyId: "remote:k1", ciphertext: sealed.ciphertext });
    expect(await codeOf(down)).toBe("ERR_UNAVAILABLE");
    expect(local.calls).toEqual([]);
  });

  it("is for keys of its scheme only, and there is none unless it is configured", async () => {
    local.fault = unavailable;
    expect(await codeOf(KEY_CALLS.encrypt(composite, "local:k1"))).toBe("ERR_UNAVAILABLE");
    expect(remote.calls).toEqual([]);
    local.fault = undefined;
    remote.fault = unavailable;
    const without = createComposite({ providers: { remote, local } });
    expect(await codeOf(KEY_CALLS.encrypt(without, "remote:k1"))).toBe("ERR_UNAVAILABLE");
    expect(local.calls).toEqual(["encrypt"]);
  });

  it("comes back to the first key with the next call", async () => {
    remote.fault = unavailable;
    await KEY_CALLS.encrypt(composite, "remote:k1");
    remote.fault = undefined;
    const sealed = await composite.encrypt({ keyId: "remote:k1", plaintext });
    expect(sealed).toMatchObject({ keyId: "remote:k1" });
    expect(sealed).not.toHaveProperty("degraded");
    expect(events).toHaveLength(1);
  });

  it("gives its own error, with the first one as the cause", async () => {
    const first = unavailable();
    remote.fault = first;
    local.fault = new CryptoError("ERR_KEY_DISABLED", "Key default is disabled");
    const error = await errorOf(KEY_CALLS.encrypt(composite, "remote:k1"));
    expect(error).toBeInstanceOf(CryptoError);
    expect(error).toMatchObject({
      code: "ERR_KEY_DISABLED",
      message: "Fallback to local:default: Key default is disabled",
      cause: first,
    });
    expect(events).toEqual([]);
    local.fault = new TypeError("secret text");
    const foreign = await errorOf(KEY_CALLS.encrypt(composite, "remote:k1"));
    expect(foreign).toMatchObject({ code: "ERR_INTERNAL", cause: first });
    expect((foreign as Error).message).not.toContain("secret");
  });

  it("refuses what its own provider cannot do", async () => {
    remote.fault = unavailable;
    local.capabilities = { ...local.capabilities, aad: false };
    const call = build().encrypt({ keyId: "remote:k1", plaintext, aad: utf8("aad") });
    expect(await codeOf(call)).toBe("ERR_UNSUPPORTED");
    expect(local.calls).toEqual([]);
  });

  it("does not start after an abort, and gives the reason when aborted in it", async () => {
    const controller = new AbortController();
    remote.fault = () => {
      controller.abort("enough");
      return unavailable();
    };
    const { signal } = controller;
    await errorOf(composite.encrypt({ keyId: "remote:k1", plaintext, signal }));
    expect(local.calls).toEqual([]);

    const second = new AbortController();
    remote.fault = unavailable;
    const { gate, open } = createGate();
    local.gate = gate;
    local.fault = () => new Error("aborted");
    const call = errorOf(
      composite.encrypt({ keyId: "remote:k1", plaintext, signal: second.signal }),
    );
    await new Promise((resolve) => setImmediate(resolve));
    expect(local.calls).toEqual(["encrypt"]);
    second.abort("enough");
    open();
    expect(await call).toBe("enough");
  });

  it.each([
    [
      "throws",
      () => {
        throw new Error("audit is full");
      },
    ],
    ["rejects", async () => Promise.reject(new Error("audit is full"))],
  ])("keeps result and label when the hook %s, and says so", async (_, onSwitch) => {
    const warning = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    remote.fault = unavailable;
    const noisy = createComposite({
      providers: { remote, local },
      fallback: { from: "remote", to: "local:default" },
      onSwitch,
    });
    const sealed = await noisy.encrypt({ keyId: "remote:k1", plaintext });
    expect(sealed).toMatchObject({ keyId: "local:default", degraded: true });
    await new Promise((resolve) => setImmediate(resolve));
    expect(warning).toHaveBeenCalledExactlyOnceWith(
      "The hook onSwitch failed: audit is full",
      expect.objectContaining({ code: "LANGO_HOOK_FAILED" }),
    );
  });

  it("keeps its label through the client", async () => {
    remote.fault = unavailable;
    const client = createCryptoClient({ provider: composite });
    expect(await client.encrypt({ keyId: "remote:k1", plaintext })).toMatchObject({
      degraded: true,
    });
  });
});

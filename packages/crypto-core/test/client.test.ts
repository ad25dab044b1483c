import { inspect } from "node:util";
import {
  type CallEvent,
  CryptoError,
  type CryptoProvider,
  createCryptoClient,
  isCryptoError,
  type Operation,
  type ProviderCapabilities,
  utf8,
} from "@lango/crypto-core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  codeOf,
  createGate,
  errorOf,
  KEY_CALLS,
  MemoryProvider,
  OPENING,
  unavailable,
} from "./memory-provider.ts";

const KEY_OPERATIONS = Object.keys(KEY_CALLS) as (keyof typeof KEY_CALLS)[];
const bytes = (length: number): Uint8Array => new Uint8Array(length);

let provider: MemoryProvider;
let client: ReturnType<typeof createCryptoClient>;

beforeEach(() => {
  provider = new MemoryProvider("memory");
  client = createCryptoClient({ provider });
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Calls a method with what TypeScript would not let through. */
const call = (operation: Operation, request: unknown): Promise<unknown> => {
  if (operation === "listKeys") {
    return client
      .listKeys(request as object)
      [Symbol.asyncIterator]()
      .next();
  }
  return (client[operation] as (request: unknown) => Promise<unknown>)(request);
};

const limit = (changes: Partial<ProviderCapabilities>): void => {
  provider.capabilities = { ...provider.capabilities, ...changes };
  client = createCryptoClient({ provider });
};

describe("arguments", () => {
  const GOOD: Record<Operation, object> = {
    encrypt: { keyId: "k1", plaintext: bytes(1), aad: bytes(1) },
    decrypt: { keyId: "k1", ciphertext: bytes(40), aad: bytes(1), keyVersion: "1" },
    sign: { keyId: "k1", message: bytes(1), algorithm: "ed25519" },
    verify: { keyId: "k1", message: bytes(1), signature: bytes(64), keyVersion: "1" },
    mac: { keyId: "k1", message: bytes(1) },
    verifyMac: { keyId: "k1", message: bytes(1), mac: bytes(32), keyVersion: "1" },
    wrapKey: { keyId: "k1", key: bytes(32), aad: bytes(1) },
    unwrapKey: { keyId: "k1", wrappedKey: bytes(60), aad: bytes(1), keyVersion: "1" },
    rewrapKey: {
      keyId: "k1",
      toKeyId: "k2",
      wrappedKey: bytes(60),
      aad: bytes(1),
      keyVersion: "1",
    },
    getPublicKey: { keyId: "k1", keyVersion: "1" },
    createKey: { keyId: "k2", algorithm: "aes-256-gcm", usage: "encryption" },
    rotateKey: { keyId: "k1" },
    describeKey: { keyId: "k1" },
    listKeys: {},
    random: { bytes: 1 },
    health: { keyId: "k1" },
  };
  const OPERATIONS = Object.keys(GOOD) as Operation[];
  const OPTIONAL = new Set(["aad", "keyVersion", "algorithm"]);

  it.each(OPERATIONS)("%s lets a right request through", async (operation) => {
    const outcome = await codeOf(call(operation, GOOD[operation]));
    expect(outcome).toBe(OPENING.has(operation) ? "ERR_DECRYPTION_FAILED" : "ok");
  });

  it.each(OPERATIONS)(
    "%s refuses each field of a wrong type, and each required one when it is missing",
    async (operation) => {
      for (const field of Object.keys(GOOD[operation])) {
        const optional =
          OPTIONAL.has(field) || (field === "keyId" && ["createKey", "health"].includes(operation));
        for (const value of [
          undefined,
          null,
          7.5,
          {},
          [1, 2],
          "",
          "a\u0000b",
          new Uint16Array(2),
        ]) {
          if (value === undefined && optional) continue;
          const outcome = await codeOf(call(operation, { ...GOOD[operation], [field]: value }));
          const unknown = field === "algorithm";
          expect([field, value, outcome]).toEqual([
            field,
            value,
            unknown ? "ERR_UNSUPPORTED" : "ERR_INVALID_ARGUMENT",
          ]);
        }
      }
      expect(provider.calls).toEqual([]);
    },
  );

  it.each(OPERATIONS)("%s refuses wrong options and no object at all", async (operation) => {
    for (const options of [
      { signal: {} },
      { signal: null },
      { timeoutMs: 0 },
      { timeoutMs: 1.5 },
      { timeoutMs: 2 ** 31 },
      { timeoutMs: "5" },
    ]) {
      expect(await codeOf(call(operation, { ...GOOD[operation], ...options }))).toBe(
        "ERR_INVALID_ARGUMENT",
      );
    }
    expect(await codeOf(call(operation, null))).toBe("ERR_INVALID_ARGUMENT");
    expect(await codeOf(call(operation, "k1"))).toBe("ERR_INVALID_ARGUMENT");
    expect(provider.calls).toEqual([]);
  });

  it.each<[Operation, string, (length: number) => unknown, number, number]>([
    ["encrypt", "plaintext", bytes, 0, 4096],
    ["encrypt", "aad", bytes, 0, 1024],
    ["decrypt", "aad", bytes, 0, 1024],
    ["wrapKey", "key", bytes, 16, 64],
    ["wrapKey", "aad", bytes, 0, 1024],
    ["random", "bytes", (n) => n, 1, 1024],
    ["encrypt", "keyId", (n) => "k".repeat(n), 1, 2048],
    ["describeKey", "timeoutMs", (n) => n, 1, 2 ** 31 - 1],
  ])("%s takes %s at its limits and not one beyond", async (operation, field, make, min, max) => {
    const outcome = (length: number): Promise<unknown> =>
      codeOf(call(operation, { ...GOOD[operation], [field]: make(length) }));
    expect(await outcome(min)).not.toBe("ERR_INVALID_ARGUMENT");
    expect(await outcome(max)).not.toBe("ERR_INVALID_ARGUMENT");
    expect(await outcome(max + 1)).toBe("ERR_INVALID_ARGUMENT");
    if (min > 0) expect(await outcome(min - 1)).toBe("ERR_INVALID_ARGUMENT");
  });

  it("takes a Buffer, and repeats no value in its errors", async () => {
    expect(await codeOf(client.encrypt({ keyId: "k1", plaintext: Buffer.from("text") }))).toBe(
      "ok",
    );
    const error = await errorOf(call("encrypt", { keyId: "k1", plaintext: "hunter2" }));
    expect(inspect(error)).not.toContain("hunter2");
  });

  it("takes exactly one of message and digest", async () => {
    for (const operation of ["sign", "verify"] as const) {
      const base = { keyId: "k1", signature: bytes(64), algorithm: "ecdsa-p256-sha256" };
      const outcome = (fields: object): Promise<unknown> =>
        codeOf(call(operation, { ...base, ...fields }));
      expect(await outcome({})).toBe("ERR_INVALID_ARGUMENT");
      expect(await outcome({ message: bytes(1), digest: bytes(32) })).toBe("ERR_INVALID_ARGUMENT");
      expect(await outcome({ digest: bytes(32) })).toBe("ok");
      expect(await outcome({ digest: bytes(31) })).toBe("ERR_INVALID_ARGUMENT");
      expect(await outcome({ digest: bytes(48) })).toBe("ERR_INVALID_ARGUMENT");
      expect(await outcome({ digest: bytes(48), algorithm: undefined })).toBe("ok");
      expect(await outcome({ digest: bytes(47), algorithm: undefined })).toBe(
        "ERR_INVALID_ARGUMENT",
      );
      expect(await outcome({ digest: bytes(64), algorithm: "ed25519" })).toBe("ERR_UNSUPPORTED");
    }
  });

  it("takes a usage that the algorithm allows", async () => {
    const outcome = (algorithm: string, usage: string): Promise<unknown> =>
      codeOf(call("createKey", { keyId: "k2", algorithm, usage }));
    expect(await outcome("hmac-sha256", "mac")).toBe("ok");
    expect(await outcome("hmac-sha256", "encryption")).toBe("ERR_INVALID_ARGUMENT");
    expect(await outcome("aes-256-gcm", "signing")).toBe("ERR_INVALID_ARGUMENT");
    expect(await outcome("aes-256-gcm", "toString")).toBe("ERR_INVALID_ARGUMENT");
  });
});

describe("capabilities", () => {
  it("refuses each operation that is not listed or not there, and has a method for it", async () => {
    const { name, capabilities, close } = provider;
    limit({ operations: [] });
    const none = client;
    const bare = createCryptoClient({
      provider: { name, capabilities, close } as unknown as CryptoProvider,
    });
    for (const operation of KEY_OPERATIONS) {
      expect(await codeOf(KEY_CALLS[operation](none, "k1"))).toBe("ERR_UNSUPPORTED");
      expect(await codeOf(KEY_CALLS[operation](bare, "k1"))).toBe("ERR_UNSUPPORTED");
    }
    expect(await codeOf(bare.random({ bytes: 1 }))).toBe("ERR_UNSUPPORTED");
    expect(await codeOf(bare.listKeys()[Symbol.asyncIterator]().next())).toBe("ERR_UNSUPPORTED");
    expect(provider.calls).toEqual([]);
    expect(await none.health()).toMatchObject({ healthy: true });
  });

  it("refuses AAD where it would not be authenticated, but not an empty one", async () => {
    limit({ aad: false, wrapAad: false, maxAadBytes: 0 });
    const requests: [Operation, object][] = [
      ["encrypt", { plaintext: bytes(1) }],
      ["decrypt", { ciphertext: bytes(40) }],
      ["wrapKey", { key: bytes(32) }],
      ["unwrapKey", { wrappedKey: bytes(60) }],
      ["rewrapKey", { wrappedKey: bytes(60), toKeyId: "k2" }],
    ];
    for (const [operation, request] of requests) {
      const outcome = (aad: Uint8Array): Promise<unknown> =>
        codeOf(call(operation, { keyId: "k1", ...request, aad }));
      expect(await outcome(bytes(1))).toBe("ERR_UNSUPPORTED");
      expect(await outcome(bytes(0))).not.toBe("ERR_UNSUPPORTED");
    }
    limit({ aad: true, maxAadBytes: 1 });
    expect(await codeOf(client.encrypt({ keyId: "k1", plaintext: bytes(1), aad: bytes(1) }))).toBe(
      "ok",
    );
    expect(await codeOf(client.wrapKey({ keyId: "k1", key: bytes(32), aad: bytes(1) }))).toBe(
      "ERR_UNSUPPORTED",
    );
  });

  it("refuses digests and algorithms that are not offered", async () => {
    limit({ signDigest: false, signatureAlgorithms: ["ed25519"], keyAlgorithms: [] });
    expect(await codeOf(client.sign({ keyId: "k1", digest: bytes(32) }))).toBe("ERR_UNSUPPORTED");
    expect(
      await codeOf(client.sign({ keyId: "k1", message: bytes(1), algorithm: "rsa-pss-sha256" })),
    ).toBe("ERR_UNSUPPORTED");
    expect(await codeOf(KEY_CALLS.createKey(client, "k2"))).toBe("ERR_UNSUPPORTED");
    expect(provider.calls).toEqual([]);
  });
});

describe("results", () => {
  it("makes Buffers plain, and wipes the pooled one that held a plaintext", async () => {
    const pooled = Buffer.from("the plaintext");
    provider.decrypt = async () => pooled as unknown as Uint8Array<ArrayBuffer>;
    client = createCryptoClient({ provider });
    const plaintext = await client.decrypt({ keyId: "k1", ciphertext: bytes(40) });
    expect(Object.getPrototypeOf(plaintext)).toBe(Uint8Array.prototype);
    expect(plaintext.buffer.byteLength).toBe(13);
    expect(plaintext).toEqual(utf8("the plaintext"));
    expect(pooled).toEqual(Buffer.alloc(13));
  });

  it("makes Buffers in results plain", async () => {
    const ciphertext = Buffer.from("sealed") as unknown as Uint8Array<ArrayBuffer>;
    provider.encrypt = async () => ({ keyId: "k1", keyVersion: "1", ciphertext });
    client = createCryptoClient({ provider });
    const result = await client.encrypt({ keyId: "k1", plaintext: bytes(1) });
    expect(Object.getPrototypeOf(result.ciphertext)).toBe(Uint8Array.prototype);
    expect(result).toEqual({ keyId: "k1", keyVersion: "1", ciphertext: utf8("sealed") });
    // The provider's own copy is left alone: it may keep public keys.
    expect(ciphertext).toEqual(Buffer.from("sealed"));
  });

  it("gives what the provider gives", async () => {
    const sealed = await client.encrypt({ keyId: "k1", plaintext: utf8("text") });
    expect(await client.decrypt(sealed)).toEqual(utf8("text"));
    const keys: string[] = [];
    for await (const key of client.listKeys()) keys.push(key.keyId);
    expect(keys).toEqual(["k1"]);
    expect(await client.health()).toMatchObject({ healthy: true });
  });
});

describe("errors", () => {
  it("passes a CryptoError on as it is", async () => {
    const fault = unavailable();
    provider.fault = fault;
    expect(await errorOf(client.encrypt({ keyId: "k1", plaintext: bytes(1) }))).toBe(fault);
  });

  it.each([
    Object.assign(new TypeError("cannot encrypt hunter2\n    at hunter2"), { code: "ECONNRESET" }),
    Object.assign(new Error("hunter2"), { name: "hunter2 hunter2", code: "hunter2!" }),
    "hunter2",
    { password: "hunter2" },
  ])("makes one error without the text of anything else", async (fault) => {
    provider.fault = fault;
    const error = await errorOf(client.encrypt({ keyId: "k1", plaintext: utf8("hunter2") }));
    expect(isCryptoError(error)).toBe(true);
    expect(error).toMatchObject({
      code: "ERR_INTERNAL",
      context: { provider: "memory", operation: "encrypt" },
    });
    expect(inspect(error, { showHidden: true, depth: null })).not.toContain("hunter2");
  });

  it("keeps class, code and place of a foreign error", async () => {
    provider.fault = Object.assign(new TypeError("text"), { code: "ECONNRESET" });
    const error = (await errorOf(
      client.encrypt({ keyId: "k1", plaintext: bytes(1) }),
    )) as CryptoError;
    expect(error.message).toBe("memory encrypt failed with an unexpected TypeError ECONNRESET");
    expect((error.cause as Error).stack).toContain("client.test.ts");
  });

  it("catches a method that throws before its promise", async () => {
    provider.encrypt = () => {
      throw new TypeError("at once");
    };
    client = createCryptoClient({ provider });
    expect(await codeOf(client.encrypt({ keyId: "k1", plaintext: bytes(1) }))).toBe("ERR_INTERNAL");
  });

  it("rejects with the reason of an abort, before and during, and zeroes what comes later", async () => {
    const reason = { why: "enough" };
    const sealed = await provider.encrypt({ keyId: "k1", plaintext: utf8("text") });
    provider.calls.length = 0;
    expect(await errorOf(client.decrypt({ ...sealed, signal: AbortSignal.abort(reason) }))).toBe(
      reason,
    );
    expect(provider.calls).toEqual([]);

    const { gate, open } = createGate();
    provider.gate = gate;
    const inner = vi.spyOn(provider, "decrypt");
    client = createCryptoClient({ provider });
    const controller = new AbortController();
    const pending = errorOf(client.decrypt({ ...sealed, signal: controller.signal }));
    controller.abort(reason);
    expect(await pending).toBe(reason);
    open();
    const late = await inner.mock.results[0]?.value;
    await new Promise((resolve) => setImmediate(resolve));
    expect(late).toEqual(bytes(4));
  });
});

describe("deadlines", () => {
  it("sets none by default, and its own or the request's where given", async () => {
    vi.useFakeTimers();
    provider.gate = new Promise(() => {});
    const outcomes: unknown[] = [];
    const note = (pending: Promise<unknown>): void => {
      void codeOf(pending).then((outcome) => outcomes.push(outcome));
    };
    note(KEY_CALLS.encrypt(client, "k1"));
    await vi.advanceTimersByTimeAsync(1e9);
    expect(outcomes).toEqual([]);
    note(client.describeKey({ keyId: "k1", timeoutMs: 10 }));
    note(createCryptoClient({ provider, defaultTimeoutMs: 20 }).describeKey({ keyId: "k1" }));
    await vi.advanceTimersByTimeAsync(10);
    expect(outcomes).toEqual(["ERR_TIMEOUT"]);
    await vi.advanceTimersByTimeAsync(10);
    expect(outcomes).toEqual(["ERR_TIMEOUT", "ERR_TIMEOUT"]);
  });
});

describe("close", () => {
  it("closes the provider once, and refuses every call after", async () => {
    await Promise.all([client.close(), client.close()]);
    await client.close();
    expect(provider.closed).toBe(1);
    for (const operation of KEY_OPERATIONS) {
      expect(await codeOf(KEY_CALLS[operation](client, "k1"))).toBe("ERR_CLOSED");
    }
    expect(await codeOf(client.random({ bytes: 1 }))).toBe("ERR_CLOSED");
    expect(await codeOf(client.health())).toBe("ERR_CLOSED");
    expect(await codeOf(client.listKeys()[Symbol.asyncIterator]().next())).toBe("ERR_CLOSED");
    expect(provider.calls).toEqual([]);
  });

  it("lets calls in flight end", async () => {
    const { gate, open } = createGate();
    provider.gate = gate;
    const pending = codeOf(KEY_CALLS.encrypt(client, "k1"));
    await client.close();
    open();
    expect(await pending).toBe("ok");
  });

  it("closes at the end of an `await using`", async () => {
    {
      await using scoped = createCryptoClient({ provider });
      await scoped.health();
    }
    expect(provider.closed).toBe(1);
  });

  it("says that closing failed, without foreign text", async () => {
    provider.close = async () => {
      throw new Error("hunter2");
    };
    const error = await errorOf(client.close());
    expect(error).toMatchObject({ code: "ERR_INTERNAL" });
    expect(inspect(error)).not.toContain("hunter2");
  });
});

describe("onCall", () => {
  it("tells of every call how it ended", async () => {
    const events: CallEvent[] = [];
    client = createCryptoClient({
      provider,
      onCall: (event) => {
        events.push(event);
      },
    });
    await KEY_CALLS.encrypt(client, "k1");
    await errorOf(KEY_CALLS.describeKey(client, "k9"));
    await errorOf(call("encrypt", {}));
    await errorOf(client.describeKey({ keyId: "k1", signal: AbortSignal.abort() }));
    expect(events).toMatchObject([
      { operation: "encrypt", provider: "memory", keyId: "k1", outcome: "ok" },
      { operation: "describeKey", keyId: "k9", outcome: "ERR_KEY_NOT_FOUND" },
      { operation: "encrypt", outcome: "ERR_INVALID_ARGUMENT" },
      { operation: "describeKey", outcome: "aborted" },
    ]);
    for (const { durationMs } of events) expect(durationMs).toBeGreaterThanOrEqual(0);
  });

  it("loses no result when it throws, and is heard", async () => {
    const warning = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    client = createCryptoClient({
      provider,
      onCall: () => {
        throw new CryptoError("ERR_INTERNAL", "no exporter");
      },
    });
    expect(await codeOf(KEY_CALLS.encrypt(client, "k1"))).toBe("ok");
    await new Promise((resolve) => setImmediate(resolve));
    expect(warning).toHaveBeenCalledExactlyOnceWith(
      "The hook onCall failed: no exporter",
      expect.objectContaining({ type: "LangoWarning" }),
    );
  });
});

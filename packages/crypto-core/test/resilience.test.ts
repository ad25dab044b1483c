import {
  CryptoError,
  type CryptoProvider,
  createCryptoClient,
  createResilientProvider,
  type HealthReport,
  type Operation,
  withCircuitBreaker,
  withDeadline,
  withHealthCache,
  withRetry,
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
const NEVER_RETRIED: readonly Operation[] = ["createKey", "rotateKey"];
const text = new Uint8Array(3);
const encrypt = (provider: CryptoProvider, signal?: AbortSignal): Promise<unknown> =>
  provider.encrypt({ keyId: "k1", plaintext: text, signal });

let provider: MemoryProvider;

beforeEach(() => {
  vi.useFakeTimers();
  provider = new MemoryProvider("memory");
});
afterEach(() => {
  vi.useRealTimers();
});

describe.each([
  ["withDeadline", (inner: CryptoProvider) => withDeadline(inner)],
  ["withRetry", (inner: CryptoProvider) => withRetry(inner)],
  ["withCircuitBreaker", (inner: CryptoProvider) => withCircuitBreaker(inner)],
  ["withHealthCache", (inner: CryptoProvider) => withHealthCache(inner)],
  ["createResilientProvider", (inner: CryptoProvider) => createResilientProvider(inner)],
])("%s", (_, decorate) => {
  it("passes every operation through", async () => {
    const decorated = decorate(provider);
    for (const operation of KEY_OPERATIONS) {
      const outcome = await codeOf(KEY_CALLS[operation](decorated, "k1"));
      const expected = OPENING.has(operation) ? "ERR_DECRYPTION_FAILED" : "ok";
      expect([operation, outcome]).toEqual([operation, expected]);
    }
    expect(await decorated.random?.({ bytes: 7 })).toHaveLength(7);
    // A key that no call has named: the cache knows nothing of it.
    expect(await decorated.health({ keyId: "k2" })).toMatchObject({ healthy: true });
    const keys: string[] = [];
    for await (const key of decorated.listKeys?.({}) ?? []) keys.push(key.keyId);
    expect(keys).toEqual(["k1"]);
    await decorated.close();
    expect(provider.calls).toEqual([...KEY_OPERATIONS, "random", "health", "listKeys"]);
    expect(provider.closed).toBe(1);
    expect([decorated.name, decorated.capabilities]).toEqual(["memory", provider.capabilities]);
  });

  it("leaves absent methods absent", () => {
    const { name, capabilities, encrypt, decrypt, describeKey, health, close } = provider;
    const small = decorate({ name, capabilities, encrypt, decrypt, describeKey, health, close });
    for (const method of ["sign", "rewrapKey", "listKeys", "random"] as const) {
      expect(small[method], method).toBeUndefined();
    }
  });

  it("rejects with the reason of a signal that was aborted before, and asks nothing", async () => {
    const reason = { why: "before" };
    expect(await errorOf(encrypt(decorate(provider), AbortSignal.abort(reason)))).toBe(reason);
    expect(provider.calls).toEqual([]);
  });

  it("rejects at once with the reason of a signal that aborts, also if the provider is deaf", async () => {
    provider.gate = new Promise(() => {});
    const controller = new AbortController();
    const call = errorOf(encrypt(decorate(provider), controller.signal));
    await vi.advanceTimersByTimeAsync(10);
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await call).toBe(reason);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("leaves no timer and no listener behind", async () => {
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, "addEventListener");
    const removed = vi.spyOn(signal, "removeEventListener");
    await encrypt(decorate(provider), signal);
    expect(vi.getTimerCount()).toBe(0);
    expect(removed).toHaveBeenCalledTimes(added.mock.calls.length);
  });

  it("leaves none behind when the provider throws before its promise", async () => {
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, "addEventListener");
    const removed = vi.spyOn(signal, "removeEventListener");
    provider.encrypt = () => {
      throw new TypeError("at once");
    };
    expect(await errorOf(encrypt(decorate(provider), signal))).toBeInstanceOf(TypeError);
    expect(vi.getTimerCount()).toBe(0);
    expect(removed).toHaveBeenCalledTimes(added.mock.calls.length);
  });
});

describe("withDeadline", () => {
  it("ends a call of a deaf provider and zeroes the plaintext that comes later", async () => {
    const sealed = await provider.encrypt({ keyId: "k1", plaintext: Uint8Array.of(1, 2, 3) });
    const { gate, open } = createGate();
    provider.gate = gate;
    const inner = vi.spyOn(provider, "decrypt");
    const call = errorOf(withDeadline(provider).decrypt(sealed));
    await vi.advanceTimersByTimeAsync(4999);
    expect(provider.last.signal?.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    const error = await call;
    expect(error).toMatchObject({
      code: "ERR_TIMEOUT",
      retryable: true,
      context: { provider: "memory", operation: "decrypt", keyId: "k1" },
    });
    expect(provider.last.signal?.reason).toBe(error);
    open();
    const late = await inner.mock.results[0]?.value;
    await vi.advanceTimersByTimeAsync(0);
    expect(late).toEqual(new Uint8Array(3));
  });

  it("takes the time of the request, of the operation, of the options, in this order", async () => {
    provider.gate = new Promise(() => {});
    const decorated = withDeadline(provider, { timeoutMs: 100, perOperation: { encrypt: 200 } });
    const ended: string[] = [];
    const note = (name: string, call: Promise<unknown>): void => {
      call.catch(() => ended.push(name));
    };
    note("request", decorated.encrypt({ keyId: "k1", plaintext: text, timeoutMs: 50 }));
    note("operation", encrypt(decorated));
    note("options", decorated.describeKey({ keyId: "k1" }));
    await vi.advanceTimersByTimeAsync(50);
    expect(ended).toEqual(["request"]);
    await vi.advanceTimersByTimeAsync(50);
    expect(ended).toEqual(["request", "options"]);
    await vi.advanceTimersByTimeAsync(99);
    expect(ended).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(ended).toEqual(["request", "options", "operation"]);
  });

  it("ends each step of a listing, and tells the provider", async () => {
    provider.addKey("k2");
    const decorated = withDeadline(provider);
    const keys: string[] = [];
    const listing = (async () => {
      for await (const key of decorated.listKeys?.({}) ?? []) {
        keys.push(key.keyId);
        provider.gate = new Promise(() => {});
      }
    })();
    const outcome = codeOf(listing);
    await vi.advanceTimersByTimeAsync(5000);
    expect(await outcome).toBe("ERR_TIMEOUT");
    expect(keys).toEqual(["k1"]);
    expect(provider.last.signal?.aborted).toBe(true);
  });

  it("reports a health check that takes too long as not healthy", async () => {
    provider.gate = new Promise(() => {});
    const report = withDeadline(provider).health({});
    await vi.advanceTimersByTimeAsync(5000);
    expect(await report).toMatchObject({
      healthy: false,
      latencyMs: 5000,
      reason: "memory did not answer health within 5000 ms",
    });
  });
});

describe("withRetry", () => {
  it("makes 4 attempts and gives the last error", async () => {
    const faults: unknown[] = [];
    provider.fault = () => {
      faults.push(unavailable());
      return faults.at(-1);
    };
    const call = errorOf(encrypt(withRetry(provider)));
    await vi.runAllTimersAsync();
    expect(await call).toBe(faults[3]);
    expect(provider.calls).toHaveLength(4);
  });

  it("makes as many as it is told, and stops at a success", async () => {
    const attempts = async (retries: number, faults: number): Promise<number> => {
      provider.calls.length = 0;
      let left = faults;
      provider.fault = () => (left-- > 0 ? unavailable() : undefined);
      const call = codeOf(encrypt(withRetry(provider, { retries })));
      await vi.runAllTimersAsync();
      await call;
      return provider.calls.length;
    };
    expect(await attempts(0, 9)).toBe(1);
    expect(await attempts(5, 9)).toBe(6);
    expect(await attempts(3, 2)).toBe(3);
  });

  it("pauses for anything from 0 to a bound that doubles up to its limit", async () => {
    for (const [random, expected] of [
      [0, [0, 0, 0, 0, 0]],
      [0.5, [50, 100, 200, 200, 200]],
      [0.999, [99.9, 199.8, 399.6, 399.6, 399.6]],
    ] as const) {
      const pauses: number[] = [];
      const timer = vi.spyOn(globalThis, "setTimeout");
      provider.fault = unavailable;
      const options = { retries: 5, baseDelayMs: 100, maxDelayMs: 400, random: () => random };
      const call = errorOf(encrypt(withRetry(provider, options)));
      await vi.runAllTimersAsync();
      await call;
      for (const [, ms] of timer.mock.calls) pauses.push(ms ?? 0);
      expect(pauses.map((ms) => Math.round(ms * 10) / 10)).toEqual(expected);
      timer.mockRestore();
    }
  });

  it("repeats every operation but the making of keys", async () => {
    const decorated = withRetry(provider);
    provider.fault = unavailable;
    for (const operation of KEY_OPERATIONS) {
      const call = codeOf(KEY_CALLS[operation](decorated, "k1"));
      await vi.runAllTimersAsync();
      expect(await call).toBe("ERR_UNAVAILABLE");
      const expected = NEVER_RETRIED.includes(operation) ? 1 : 4;
      expect([operation, provider.count(operation)]).toEqual([operation, expected]);
    }
  });

  it("does not take up a listing that failed: its end would pass for the whole", async () => {
    provider.fault = unavailable;
    const listing = async (): Promise<void> => {
      for await (const _ of withRetry(provider).listKeys?.({}) ?? []);
    };
    const call = codeOf(listing());
    await vi.runAllTimersAsync();
    expect(await call).toBe("ERR_UNAVAILABLE");
    expect(provider.calls).toEqual(["listKeys"]);
  });

  it.each([
    new CryptoError("ERR_ACCESS_DENIED", "no"),
    new CryptoError("ERR_KEY_NOT_FOUND", "no"),
    new CryptoError("ERR_DECRYPTION_FAILED", "no"),
    new CryptoError("ERR_UNAVAILABLE", "the service says never", { retryable: false }),
    new CryptoError("ERR_CIRCUIT_OPEN", "no"),
    new TypeError("a bug"),
  ])("does not repeat after $name $code", async (fault) => {
    provider.fault = fault;
    const call = errorOf(encrypt(withRetry(provider)));
    await vi.runAllTimersAsync();
    expect(await call).toBe(fault);
    expect(provider.calls).toHaveLength(1);
  });

  it("repeats after throttling", async () => {
    provider.fault = new CryptoError("ERR_RATE_LIMITED", "slow down");
    const call = errorOf(encrypt(withRetry(provider)));
    await vi.runAllTimersAsync();
    await call;
    expect(provider.calls).toHaveLength(4);
  });

  it("ends in a pause when the signal aborts", async () => {
    provider.fault = unavailable;
    const controller = new AbortController();
    const call = errorOf(encrypt(withRetry(provider, { random: () => 0.9 }), controller.signal));
    await vi.advanceTimersByTimeAsync(50);
    controller.abort("enough");
    expect(await call).toBe("enough");
    expect(vi.getTimerCount()).toBe(0);
    expect(provider.calls).toHaveLength(1);
  });

  it("starts no pause for a deadline around it, which is retryable too", async () => {
    provider.gate = new Promise(() => {});
    const call = codeOf(encrypt(withDeadline(withRetry(provider))));
    await vi.advanceTimersByTimeAsync(5000);
    expect(await call).toBe("ERR_TIMEOUT");
    expect(vi.getTimerCount()).toBe(0);
  });

  it("leaves no listener of its pauses behind", async () => {
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, "addEventListener");
    const removed = vi.spyOn(signal, "removeEventListener");
    provider.fault = unavailable;
    const call = errorOf(encrypt(withRetry(provider), signal));
    await vi.runAllTimersAsync();
    await call;
    // Four attempts and three pauses.
    expect([added, removed].map((spy) => spy.mock.calls.length)).toEqual([7, 7]);
  });
});

describe("withCircuitBreaker", () => {
  const OPTIONS = { failureThreshold: 3, openMs: 1000 };

  const fail = async (decorated: CryptoProvider, times: number): Promise<void> => {
    provider.fault = unavailable;
    for (let i = 0; i < times; i++) await errorOf(encrypt(decorated));
    provider.fault = undefined;
  };

  it("opens after as many failures in a row, and asks nothing more", async () => {
    const decorated = withCircuitBreaker(provider, OPTIONS);
    await fail(decorated, 2);
    expect(await codeOf(encrypt(decorated))).toBe("ok");
    await fail(decorated, 2);
    expect(await codeOf(encrypt(decorated))).toBe("ok");
    await fail(decorated, 3);
    const asked = provider.calls.length;
    const error = await errorOf(encrypt(decorated));
    expect(error).toMatchObject({ code: "ERR_CIRCUIT_OPEN", retryable: true });
    expect((error as CryptoError).cause).toMatchObject({ code: "ERR_UNAVAILABLE" });
    expect(provider.calls).toHaveLength(asked);
  });

  it.each([
    "ERR_RATE_LIMITED",
    "ERR_ACCESS_DENIED",
    "ERR_KEY_NOT_FOUND",
    "ERR_DECRYPTION_FAILED",
    "ERR_INTERNAL",
  ] as const)("does not count %s", async (code) => {
    const decorated = withCircuitBreaker(provider, OPTIONS);
    provider.fault = new CryptoError(code, "answered");
    for (let i = 0; i < 10; i++) expect(await codeOf(encrypt(decorated))).toBe(code);
    expect(provider.calls).toHaveLength(10);
  });

  it("lets exactly one of many callers probe, and closes when the probe succeeds", async () => {
    const decorated = withCircuitBreaker(provider, OPTIONS);
    await fail(decorated, 3);
    await vi.advanceTimersByTimeAsync(999);
    expect(await codeOf(encrypt(decorated))).toBe("ERR_CIRCUIT_OPEN");
    await vi.advanceTimersByTimeAsync(1);
    const { gate, open } = createGate();
    provider.gate = gate;
    const before = provider.calls.length;
    const calls = Array.from({ length: 50 }, () => codeOf(encrypt(decorated)));
    await vi.advanceTimersByTimeAsync(0);
    expect(provider.calls).toHaveLength(before + 1);
    open();
    const outcomes = await Promise.all(calls);
    expect(outcomes.filter((outcome) => outcome === "ok")).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === "ERR_CIRCUIT_OPEN")).toHaveLength(49);
    expect(await codeOf(encrypt(decorated))).toBe("ok");
  });

  it("opens again for the whole time when the probe fails", async () => {
    const decorated = withCircuitBreaker(provider, OPTIONS);
    await fail(decorated, 3);
    await vi.advanceTimersByTimeAsync(1000);
    await fail(decorated, 1);
    await vi.advanceTimersByTimeAsync(999);
    expect(await codeOf(encrypt(decorated))).toBe("ERR_CIRCUIT_OPEN");
    await vi.advanceTimersByTimeAsync(1);
    expect(await codeOf(encrypt(decorated))).toBe("ok");
  });

  it("closes when the probe is answered by an error, so that a refusal is not taken for absence", async () => {
    const decorated = withCircuitBreaker(provider, OPTIONS);
    await fail(decorated, 3);
    await vi.advanceTimersByTimeAsync(1000);
    provider.fault = new CryptoError("ERR_ACCESS_DENIED", "no");
    expect(await codeOf(encrypt(decorated))).toBe("ERR_ACCESS_DENIED");
    const outcomes = await Promise.all([codeOf(encrypt(decorated)), codeOf(encrypt(decorated))]);
    expect(outcomes).toEqual(["ERR_ACCESS_DENIED", "ERR_ACCESS_DENIED"]);
  });

  it("gives the probe to the next caller when the caller of the first aborts", async () => {
    const decorated = withCircuitBreaker(provider, OPTIONS);
    await fail(decorated, 3);
    await vi.advanceTimersByTimeAsync(1000);
    provider.gate = new Promise(() => {});
    const controller = new AbortController();
    const probe = errorOf(encrypt(decorated, controller.signal));
    await vi.advanceTimersByTimeAsync(0);
    controller.abort("enough");
    expect(await probe).toBe("enough");
    provider.gate = undefined;
    const before = provider.calls.length;
    const outcomes = await Promise.all([codeOf(encrypt(decorated)), codeOf(encrypt(decorated))]);
    expect(outcomes).toEqual(["ok", "ERR_CIRCUIT_OPEN"]);
    expect(provider.calls).toHaveLength(before + 1);
  });

  it("does not take an old success for that of the probe", async () => {
    const decorated = withCircuitBreaker(provider, OPTIONS);
    const before = createGate();
    provider.gate = before.gate;
    const old = encrypt(decorated);
    await vi.advanceTimersByTimeAsync(0);
    provider.gate = undefined;
    await fail(decorated, 3);
    await vi.advanceTimersByTimeAsync(1000);
    const probing = createGate();
    provider.gate = probing.gate;
    provider.fault = unavailable;
    const probe = codeOf(encrypt(decorated));
    before.open();
    await old;
    expect(await codeOf(encrypt(decorated))).toBe("ERR_CIRCUIT_OPEN");
    probing.open();
    expect(await probe).toBe("ERR_UNAVAILABLE");
    provider.gate = undefined;
    expect(await codeOf(encrypt(decorated))).toBe("ERR_CIRCUIT_OPEN");
  });

  it("does not open for an old failure after the probe has closed it", async () => {
    const decorated = withCircuitBreaker(provider, { ...OPTIONS, failureThreshold: 1 });
    const before = createGate();
    provider.gate = before.gate;
    provider.fault = unavailable;
    const old = codeOf(encrypt(decorated));
    await vi.advanceTimersByTimeAsync(0);
    provider.gate = undefined;
    await fail(decorated, 1);
    await vi.advanceTimersByTimeAsync(1000);
    await encrypt(decorated);
    before.open();
    expect(await old).toBe("ERR_UNAVAILABLE");
    expect(await codeOf(encrypt(decorated))).toBe("ok");
  });

  it("counts the deadline around it, also with a deaf provider, but no abort by the caller", async () => {
    const decorated = withDeadline(withCircuitBreaker(provider, OPTIONS));
    provider.gate = new Promise(() => {});
    for (let i = 0; i < 9; i++) {
      const controller = new AbortController();
      const call = errorOf(encrypt(decorated, controller.signal));
      controller.abort("enough");
      await call;
    }
    for (let i = 0; i < 3; i++) {
      const call = codeOf(encrypt(decorated));
      await vi.advanceTimersByTimeAsync(5000);
      expect(await call).toBe("ERR_TIMEOUT");
    }
    expect(await codeOf(encrypt(decorated))).toBe("ERR_CIRCUIT_OPEN");
  });

  it("tells each change of state, with the failure; health goes through unheard", async () => {
    const changes: unknown[] = [];
    const decorated = withCircuitBreaker(provider, {
      ...OPTIONS,
      onStateChange: (change) => {
        changes.push(change);
      },
    });
    await fail(decorated, 3);
    expect(await decorated.health({})).toMatchObject({ healthy: true });
    expect(await codeOf(encrypt(decorated))).toBe("ERR_CIRCUIT_OPEN");
    await vi.advanceTimersByTimeAsync(1000);
    await encrypt(decorated);
    expect(changes).toMatchObject([
      { provider: "memory", from: "closed", to: "open", error: { code: "ERR_UNAVAILABLE" } },
      { from: "open", to: "half-open" },
      { from: "half-open", to: "closed" },
    ]);
  });

  it("goes by its own clock where it has one", async () => {
    let now = 0;
    const decorated = withCircuitBreaker(provider, { ...OPTIONS, clock: () => now });
    await fail(decorated, 3);
    now = 999;
    expect(await codeOf(encrypt(decorated))).toBe("ERR_CIRCUIT_OPEN");
    now = 1000;
    expect(await codeOf(encrypt(decorated))).toBe("ok");
  });
});

describe("withHealthCache", () => {
  it("asks once in 30 seconds", async () => {
    const decorated = withHealthCache(provider);
    const first = await decorated.health({});
    await vi.advanceTimersByTimeAsync(29_999);
    expect(await decorated.health({})).toBe(first);
    await vi.advanceTimersByTimeAsync(1);
    expect(await decorated.health({})).not.toBe(first);
    expect(provider.count("health")).toBe(2);
  });

  it("asks nothing while other calls succeed", async () => {
    const decorated = withHealthCache(provider);
    await encrypt(decorated);
    expect(await decorated.health({})).toMatchObject({ healthy: true, checkedAt: Date.now() });
    await vi.advanceTimersByTimeAsync(20_000);
    await encrypt(decorated);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(await decorated.health({ keyId: "k1" })).toMatchObject({ healthy: true });
    expect(provider.count("health")).toBe(0);
  });

  it("shows a failure to reach the service at once, and no other failure", async () => {
    const decorated = withHealthCache(provider);
    await decorated.health({});
    provider.fault = new CryptoError("ERR_ACCESS_DENIED", "no");
    await errorOf(encrypt(decorated));
    expect(await decorated.health({})).toMatchObject({ healthy: true });
    provider.fault = unavailable;
    await errorOf(encrypt(decorated));
    expect(await decorated.health({})).toMatchObject({
      healthy: false,
      reason: "The service cannot be reached",
    });
    provider.fault = undefined;
    await encrypt(decorated);
    expect(await decorated.health({})).toMatchObject({ healthy: true });
  });

  it("learns nothing from calls that may be answered without the service", async () => {
    const decorated = withHealthCache(provider);
    await KEY_CALLS.verify(decorated, "k1");
    await KEY_CALLS.getPublicKey(decorated, "k1");
    await decorated.health({});
    expect(provider.count("health")).toBe(1);
  });

  it("shares one call among all who ask; an abort of one does not end it for the others", async () => {
    const decorated = withHealthCache(provider);
    const { gate, open } = createGate();
    provider.gate = gate;
    const controller = new AbortController();
    const first = errorOf(decorated.health({ signal: controller.signal }));
    const others = Array.from({ length: 20 }, () => decorated.health({}));
    controller.abort("enough");
    expect(await first).toBe("enough");
    open();
    const reports = new Set<HealthReport>(await Promise.all(others));
    expect(reports.size).toBe(1);
    expect(provider.count("health")).toBe(1);
  });

  it("tells of each new report, whichever call gave it", async () => {
    const told: boolean[] = [];
    const decorated = withHealthCache(provider, {
      onReport: ({ healthy }) => void told.push(healthy),
    });
    await decorated.health({});
    await decorated.health({});
    await encrypt(decorated);
    provider.fault = unavailable;
    await errorOf(encrypt(decorated));
    expect(told).toEqual([true, true, false]);
  });

  it("keeps the reports of keys apart, and not too many of them", async () => {
    const decorated = withHealthCache(provider);
    await decorated.health({ keyId: "a" });
    await decorated.health({ keyId: "b" });
    await decorated.health({ keyId: "a" });
    expect(provider.count("health")).toBe(2);
    for (let i = 0; i < 64; i++) await decorated.health({ keyId: `other ${i}` });
    await decorated.health({ keyId: "a" });
    expect(provider.count("health")).toBe(67);
  });
});

describe("createResilientProvider", () => {
  it("has one deadline over all attempts", async () => {
    const decorated = createResilientProvider(provider, {
      retry: { retries: 100, random: () => 0.999 },
      circuitBreaker: { failureThreshold: 1000 },
    });
    provider.fault = unavailable;
    const call = codeOf(encrypt(decorated));
    await vi.advanceTimersByTimeAsync(5000);
    expect(await call).toBe("ERR_TIMEOUT");
    const asked = provider.calls.length;
    await vi.runAllTimersAsync();
    expect(provider.calls).toHaveLength(asked);
  });

  it("counts every attempt in the breaker, and does not go on against an open circuit", async () => {
    const decorated = createResilientProvider(provider, {
      circuitBreaker: { failureThreshold: 2 },
    });
    provider.fault = unavailable;
    const call = codeOf(encrypt(decorated));
    await vi.runAllTimersAsync();
    expect(await call).toBe("ERR_CIRCUIT_OPEN");
    expect(provider.calls).toHaveLength(2);
    expect(await decorated.health({})).toMatchObject({ healthy: false });
    expect(provider.count("health")).toBe(0);
  });

  it("follows the provider's own settings where none are given", async () => {
    const own = {
      deadline: { timeoutMs: 60_000 },
      retry: { retries: 0 },
      circuitBreaker: { failureThreshold: Number.POSITIVE_INFINITY },
    };
    provider.fault = unavailable;
    provider.capabilities = { ...provider.capabilities, resilience: own };
    const patient = createResilientProvider(provider);
    for (let call = 1; call <= 10; call++) {
      expect(await codeOf(encrypt(patient))).toBe("ERR_UNAVAILABLE");
      expect(provider.calls).toHaveLength(call);
    }
    provider.fault = undefined;
    provider.gate = new Promise(() => {});
    const call = codeOf(encrypt(patient));
    await vi.advanceTimersByTimeAsync(59_999);
    expect(await Promise.race([call, "waits"])).toBe("waits");
    await vi.advanceTimersByTimeAsync(1);
    expect(await call).toBe("ERR_TIMEOUT");

    const hurried = createResilientProvider(provider, { deadline: { timeoutMs: 10 } });
    const short = codeOf(encrypt(hurried));
    await vi.advanceTimersByTimeAsync(10);
    expect(await short).toBe("ERR_TIMEOUT");
  });

  it("is applied once, and only to providers that leave the process", async () => {
    const once = createResilientProvider(provider);
    expect(createResilientProvider(once)).toBe(once);
    provider.capabilities = { ...provider.capabilities, remote: false };
    expect(createResilientProvider(provider)).toBe(provider);
  });
});

describe("options that are numbers", () => {
  it.each([
    ["timeoutMs", () => withDeadline(provider, { timeoutMs: 0 })],
    ["timeoutMs", () => withDeadline(provider, { perOperation: { sign: Number("x") } })],
    ["retries", () => withRetry(provider, { retries: Number(undefined) })],
    ["maxDelayMs", () => withRetry(provider, { maxDelayMs: -1 })],
    ["failureThreshold", () => withCircuitBreaker(provider, { failureThreshold: 0 })],
    ["openMs", () => withCircuitBreaker(provider, { openMs: Number.NaN })],
    ["ttlMs", () => withHealthCache(provider, { ttlMs: "1" as never })],
    ["retries", () => withRetry(provider, { retries: null as never })],
    ["defaultTimeoutMs", () => createCryptoClient({ provider, defaultTimeoutMs: Number.NaN })],
  ])("%s must be one", (name, make) => {
    expect(make).toThrow(expect.objectContaining({ code: "ERR_CONFIG" }));
    expect(make).toThrow(name);
  });

  it("an endless deadline is none", async () => {
    const gate = createGate();
    provider.gate = gate.gate;
    const endless = withDeadline(provider, { timeoutMs: Number.POSITIVE_INFINITY });
    const call = encrypt(endless);
    await vi.advanceTimersByTimeAsync(2 ** 32);
    gate.open();
    await expect(call).resolves.toBeDefined();
  });
});

it("the health of a service that refuses it is no unhandled rejection when its caller gave up before", async () => {
  const refusal = new CryptoError("ERR_ACCESS_DENIED", "no");
  provider.fault = refusal;
  const cached = withHealthCache(provider);
  const call = cached.health({ signal: AbortSignal.abort(new Error("gone")) });
  await expect(call).rejects.toThrow("gone");
});

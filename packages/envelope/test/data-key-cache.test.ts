import { setTimeout } from "node:timers/promises";
import { CryptoError } from "@lango/crypto-core";
import {
  createDataKey,
  createDataKeyCache,
  type DataKey,
  type DataKeyCacheOptions,
  openValue,
  sealValue,
} from "@lango/envelope";
import { describe, expect, it } from "vitest";
import { bytes, codeOf, text } from "./support.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A cache over a fake clock whose loads are counted; `gate` holds them back. */
const rig = (options: Partial<DataKeyCacheOptions> = {}) => {
  const state = {
    now: 0,
    loads: [] as string[],
    keys: [] as DataKey[],
    signals: [] as AbortSignal[],
    gate: undefined as Promise<void> | undefined,
  };
  const cache = createDataKeyCache({
    maxAgeMs: 1_000,
    maxMessages: 1e6,
    maxBytes: 1e9,
    maxEntries: 10,
    clock: () => state.now,
    load: async (partition, id, signal) => {
      state.loads.push(`${partition}/${id}`);
      state.signals.push(signal);
      await state.gate;
      const key = createDataKey(bytes(32, state.keys.length), bytes(12, 1));
      state.keys.push(key);
      return key;
    },
    ...options,
  });
  return { cache, state };
};

const isDestroyed = (key: DataKey): boolean => {
  try {
    sealValue(key, bytes(0), bytes(0));
    return false;
  } catch {
    return true;
  }
};

describe("the data-key cache", () => {
  it("loads once for 3,000 concurrent cold calls, and not again", async () => {
    const { cache, state } = rig();
    const keys = await Promise.all(
      Array.from({ length: 3_000 }, () =>
        cache.get("p", "k", { signal: new AbortController().signal }),
      ),
    );
    expect(state.loads).toEqual(["p/k"]);
    expect(new Set(keys).size).toBe(1);
    await cache.get("p", "k");
    expect(state.loads).toHaveLength(1);
  });

  it("destroys keys that nobody asks for any more, within twice their age", async () => {
    const { cache, state } = rig({ maxAgeMs: 40, clock: () => performance.now() });
    await cache.get("p", "k");
    await setTimeout(30);
    await cache.get("p", "younger");
    expect(state.keys.map(isDestroyed)).toEqual([false, false]);
    await expect.poll(() => state.keys.map(isDestroyed)).toEqual([true, true]);
  });

  it("keeps partitions apart, however their names are put together", async () => {
    const { cache, state } = rig();
    await cache.get("a", "b:c");
    await cache.get("a:b", "c");
    await cache.get('a"', "b");
    await cache.get("a", '"b');
    expect(state.loads).toHaveLength(4);
    expect(new Set(state.keys).size).toBe(4);
  });

  it("drops a key at its age, and destroys it", async () => {
    const { cache, state } = rig({ maxAgeMs: 1_000 });
    const first = await cache.get("p", "k");
    state.now = 999;
    expect(await cache.get("p", "k")).toBe(first);
    state.now = 1_000;
    const second = await cache.get("p", "k");
    expect(second).not.toBe(first);
    await turn();
    expect(isDestroyed(first)).toBe(true);
    expect(isDestroyed(second)).toBe(false);
  });

  it("drops keys that nobody asks for when another is loaded", async () => {
    const { cache, state } = rig();
    const idle = await cache.get("p", "idle");
    state.now = 1_000;
    await cache.get("p", "other");
    await turn();
    expect(isDestroyed(idle)).toBe(true);
  });

  it("counts messages and bytes", async () => {
    const messages = rig({ maxMessages: 3 });
    for (let i = 0; i < 7; i++) await messages.cache.get("p", "k");
    expect(messages.state.loads).toHaveLength(3);

    const volume = rig({ maxBytes: 100 });
    for (let i = 0; i < 4; i++) await volume.cache.get("p", "k", { bytes: 40 });
    expect(volume.state.loads).toHaveLength(2);
    await volume.cache.get("p", "k", { bytes: 20 });
    expect(volume.state.loads).toHaveLength(2);
    for (const wrong of [101, -1, Number.NaN]) {
      expect(await codeOf(() => volume.cache.get("p", "k", { bytes: wrong }))).toBe(
        "ERR_INVALID_ARGUMENT",
      );
    }
  });

  it("holds to its limits when many wait for one load", async () => {
    const { cache, state } = rig({ maxMessages: 10 });
    const used = new Map<DataKey, number>();
    await Promise.all(
      Array.from({ length: 95 }, async () => {
        const key = await cache.get("p", "k");
        used.set(key, (used.get(key) ?? 0) + 1);
        sealValue(key, text("x"), bytes(0));
      }),
    );
    expect(state.loads).toHaveLength(10);
    for (const count of used.values()) expect(count).toBeLessThanOrEqual(10);
  });

  it("evicts the least recently used key", async () => {
    const { cache, state } = rig({ maxEntries: 2 });
    const a = await cache.get("p", "a");
    const b = await cache.get("p", "b");
    await cache.get("p", "a");
    await cache.get("p", "c");
    await turn();
    expect([isDestroyed(a), isDestroyed(b)]).toEqual([false, true]);
    await cache.get("p", "a");
    expect(state.loads).toEqual(["p/a", "p/b", "p/c"]);
    await cache.get("p", "b");
    expect(state.loads).toHaveLength(4);
  });

  it("never destroys a key between giving it and its use in the same turn", async () => {
    const { cache } = rig({ maxEntries: 1 });
    const results = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const key = await cache.get("p", `k${i % 20}`);
        return openValue(key, sealValue(key, text(`${i}`), bytes(0)), bytes(0));
      }),
    );
    expect(results).toEqual(results.map((_, i) => text(`${i}`)));
  });

  it("does not keep errors, and gives the same error to all who waited", async () => {
    let calls = 0;
    const fault = new CryptoError("ERR_UNAVAILABLE", "down");
    const { cache } = rig({
      load: async () => {
        calls += 1;
        if (calls === 1) throw fault;
        return createDataKey(bytes(32), bytes(12));
      },
    });
    const results = await Promise.allSettled([cache.get("p", "k"), cache.get("p", "k")]);
    expect(results.map((result) => result.status === "rejected" && result.reason)).toEqual([
      fault,
      fault,
    ]);
    expect(calls).toBe(1);
    await cache.get("p", "k");
    expect(calls).toBe(2);
  });

  it("turns a load that throws at once into a rejection", async () => {
    const { cache } = rig({
      load: () => {
        throw new CryptoError("ERR_KEY_NOT_FOUND", "none");
      },
    });
    expect(await codeOf(() => cache.get("p", "k"))).toBe("ERR_KEY_NOT_FOUND");
  });

  it("lets one caller leave without the others", async () => {
    const { cache, state } = rig();
    const gate = Promise.withResolvers<void>();
    state.gate = gate.promise;
    const controller = new AbortController();
    const leaving = cache.get("p", "k", { signal: controller.signal });
    const staying = cache.get("p", "k");
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(leaving).rejects.toBe(reason);
    expect(state.signals[0]?.aborted).toBe(false);
    gate.resolve();
    expect(isDestroyed(await staying)).toBe(false);
    expect(state.loads).toHaveLength(1);
    await expect(cache.get("p", "k", { signal: controller.signal })).rejects.toBe(reason);
  });

  it("aborts the load when nobody waits any more, and destroys a key that comes late", async () => {
    const { cache, state } = rig();
    const gate = Promise.withResolvers<void>();
    state.gate = gate.promise;
    const controllers = [new AbortController(), new AbortController()];
    const calls = controllers.map(({ signal }) => cache.get("p", "k", { signal }));
    for (const controller of controllers) controller.abort();
    expect((await Promise.allSettled(calls)).every(({ status }) => status === "rejected")).toBe(
      true,
    );
    expect(state.signals[0]?.aborted).toBe(true);
    state.gate = undefined;
    const fresh = await cache.get("p", "k");
    expect(state.loads).toHaveLength(2);
    gate.resolve();
    await turn();
    expect(state.keys).toHaveLength(2);
    const late = state.keys.find((key) => key !== fresh);
    expect(late !== undefined && isDestroyed(late)).toBe(true);
    expect(isDestroyed(fresh)).toBe(false);
  });

  it("leaves a finished load's signal alone", async () => {
    const { cache, state } = rig();
    await cache.get("p", "k", { signal: new AbortController().signal });
    expect(state.signals[0]?.aborted).toBe(false);
  });

  it("destroys everything when closed, and rejects who waits and who comes later", async () => {
    const { cache, state } = rig();
    const held = await cache.get("p", "held");
    const gate = Promise.withResolvers<void>();
    state.gate = gate.promise;
    const waiting = [cache.get("p", "k"), cache.get("p", "k")];
    cache.close();
    cache.close();
    expect(isDestroyed(held)).toBe(true);
    for (const call of waiting) expect(await codeOf(() => call)).toBe("ERR_CLOSED");
    expect(state.signals[1]?.aborted).toBe(true);
    gate.resolve();
    await turn();
    expect(state.keys.every(isDestroyed)).toBe(true);
    expect(await codeOf(() => cache.get("p", "k"))).toBe("ERR_CLOSED");
  });

  it("refuses limits that allow nothing", async () => {
    for (const limit of ["maxAgeMs", "maxMessages", "maxBytes", "maxEntries"] as const) {
      expect(await codeOf(() => rig({ [limit]: 0 }))).toBe("ERR_INVALID_ARGUMENT");
      expect(await codeOf(() => rig({ [limit]: Number.NaN }))).toBe("ERR_INVALID_ARGUMENT");
    }
  });

  it("uses a clock of its own by default", async () => {
    const cache = createDataKeyCache({
      maxAgeMs: 60_000,
      maxMessages: 10,
      maxBytes: 10,
      maxEntries: 1,
      load: async () => createDataKey(bytes(32), bytes(12)),
    });
    expect(await cache.get("p", "k")).toBe(await cache.get("p", "k"));
    cache.close();
  });
});

import { randomBytes } from "node:crypto";
import { memoryResults, type ResultStore } from "@lango/companion";
import { CryptoError, type CryptoProvider, utf8 } from "@lango/crypto-core";
import { describe, expect, test, vi } from "vitest";
import { makeKeys, makeRig, newId, newPeer } from "./support/signer.ts";

const code = (wanted: string) => expect.objectContaining({ code: wanted });
const unasked = { rules: [{ methods: ["sign", "mac", "wallet.sign"], ask: false }] } as const;

/** Keys that count what they sign, and sign when they are let. */
const countingKeys = async () => {
  const real = await makeKeys();
  const gate = Promise.withResolvers<void>();
  let count = 0;
  const keys: CryptoProvider = {
    ...real,
    sign: async (request) => {
      count++;
      await gate.promise;
      return real.sign!(request);
    },
  };
  return { keys, open: gate.resolve, count: () => count };
};

const signWith = (id: string, text = "pay 5") =>
  ({ method: "sign", params: { keyId: "sign", message: utf8(text) }, id }) as const;

describe("one id, one signature", () => {
  test("two equal requests at once run once; the same again later gets the same bytes", async () => {
    const { keys, open, count } = await countingKeys();
    const rig = await makeRig({ keys, policy: unasked });
    const id = newId();
    const both = [rig.ask(signWith(id)), rig.ask(signWith(id))];
    await vi.waitFor(() => expect(count()).toBe(1));
    open();
    const [first, second] = await Promise.all(both);
    expect(second).toEqual(first);
    expect(await rig.ask(signWith(id))).toEqual(first);
    expect(count()).toBe(1);
    expect(rig.events.map(({ outcome }) => outcome)).toEqual(["ok", "ok", "replayed"]);
    // ECDSA with a random nonce: another run would have given other bytes.
    expect(await rig.ask(signWith(newId()))).not.toEqual(first);
  });

  test("mac, wallet.sign and approval.request too", async () => {
    const { privateKey } = (await import("node:crypto")).generateKeyPairSync("ec", {
      namedCurve: "P-256",
    });
    const results = memoryResults();
    const put = vi.spyOn(results, "put");
    const rig = await makeRig({
      results,
      identity: { privateKey },
      policy: { wallets: ["coins"] },
    });
    const message = utf8("m");
    for (const asked of [
      { method: "mac", params: { keyId: "tag", message } },
      { method: "wallet.sign", params: { message } },
      {
        method: "approval.request",
        params: {
          commitment: new Uint8Array(32),
          summary: [],
          dangerous: false,
          expiresAt: Date.now() + 60_000,
        },
      },
    ] as const) {
      const id = newId();
      const first = await rig.ask({ ...asked, id });
      expect(await rig.ask({ ...asked, id })).toEqual(first);
    }
    expect(put).toHaveBeenCalledTimes(3);
    expect(rig.questions).toHaveLength(3);
  });

  test("another request under the id is a conflict, at once and later; another device has ids of its own", async () => {
    const { keys, open, count } = await countingKeys();
    const rig = await makeRig({ keys, policy: unasked });
    const id = newId();
    const first = rig.ask(signWith(id));
    await expect(rig.ask(signWith(id, "pay 6"))).rejects.toEqual(code("ERR_CONFLICT"));
    const another = rig.ask({ ...signWith(id, "pay 6"), peer: newPeer() });
    open();
    const { signature } = await first;
    expect((await another).signature).not.toEqual(signature);
    await expect(rig.ask(signWith(id, "pay 6"))).rejects.toEqual(code("ERR_CONFLICT"));
    const mac = { method: "mac", params: { keyId: "tag", message: utf8("pay 5") }, id } as const;
    await expect(rig.ask(mac)).rejects.toEqual(code("ERR_CONFLICT"));
    expect(count()).toBe(2);
    const other = await rig.ask({ ...signWith(id), peer: newPeer() });
    expect(other.signature).not.toEqual(signature);
    expect(count()).toBe(3);
  });

  test("a crash between put and answer: the retry gets the bytes that were kept", async () => {
    const kept = memoryResults();
    let stored: Uint8Array | undefined;
    const results: ResultStore = {
      find: kept.find,
      put: async (peer, id, hash, result) => {
        await kept.put(peer, id, hash, result);
        stored = result;
        throw new CryptoError("ERR_UNAVAILABLE", "The process died here");
      },
    };
    const keys = await makeKeys();
    const id = newId();
    const peer = newPeer();
    const before = await makeRig({ keys, results, policy: unasked });
    await expect(before.ask({ ...signWith(id), peer })).rejects.toEqual(code("ERR_UNAVAILABLE"));
    const after = await makeRig({ keys, results: kept, policy: unasked });
    const { signature } = await after.ask({ ...signWith(id), peer });
    const { signature: base64 } = JSON.parse(new TextDecoder().decode(stored));
    expect(Buffer.from(signature).toString("base64")).toBe(base64);
    expect(after.events[0]?.outcome).toBe("replayed");
  });

  test("nothing is given out that could not be kept", async () => {
    const results = memoryResults();
    results.put = () => Promise.reject(new CryptoError("ERR_BUSY", "The disk is full"));
    const rig = await makeRig({ results, policy: unasked });
    await expect(rig.ask(signWith(newId()))).rejects.toEqual(code("ERR_BUSY"));
  });

  test("of two processes the first result counts", async () => {
    const results = memoryResults();
    const late: ResultStore = {
      put: results.put,
      find: vi.fn(results.find).mockResolvedValueOnce(undefined),
    };
    const keys = await makeKeys();
    const id = newId();
    const peer = newPeer();
    const one = await makeRig({ keys, results, policy: unasked });
    const two = await makeRig({ keys, results: late, policy: unasked });
    const first = await one.ask({ ...signWith(id), peer });
    expect(await two.ask({ ...signWith(id), peer })).toEqual(first);
  });

  test("a result that was damaged is not given out", async () => {
    const results = memoryResults();
    results.find = async () => ({
      hash: new Uint8Array(32),
      result: utf8('{"keyId":"sign","approved":true}'),
    });
    const rig = await makeRig({ results, policy: unasked });
    const asked = { ...signWith(newId()), hash: new Uint8Array(32) };
    await expect(rig.ask(asked)).rejects.toEqual(code("ERR_INTEGRITY"));
  });

  test("who gives up before anything was done leaves nothing done, and the id free", async () => {
    const kept = memoryResults();
    const slow = Promise.withResolvers<void>();
    const results: ResultStore = {
      put: kept.put,
      find: async (peer, id) => {
        await slow.promise;
        return kept.find(peer, id);
      },
    };
    const { keys, open, count } = await countingKeys();
    open();
    const rig = await makeRig({ keys, results, policy: unasked });
    const lost = new AbortController();
    const id = newId();
    const first = rig.ask({ ...signWith(id), signal: lost.signal });
    lost.abort(new Error("gone"));
    await expect(first).rejects.toThrow("gone");
    const retry = rig.ask(signWith(id));
    slow.resolve();
    await retry;
    expect(count()).toBe(1);
  });

  test("what is being signed when the connection is lost is kept for the retry", async () => {
    const { keys, open, count } = await countingKeys();
    const rig = await makeRig({ keys, policy: unasked });
    const lost = new AbortController();
    const id = newId();
    const first = rig.ask({ ...signWith(id), signal: lost.signal });
    await vi.waitFor(() => expect(count()).toBe(1));
    lost.abort(new Error("gone"));
    await expect(first).rejects.toThrow("gone");
    const retry = rig.ask(signWith(id));
    open();
    await retry;
    expect(count()).toBe(1);
    expect(rig.events.map(({ outcome }) => outcome)).toEqual(["aborted", "ok"]);
  });
});

describe("memoryResults", () => {
  const bytes = (length: number) => new Uint8Array(randomBytes(length));

  test("forgets after ttlMs, and the oldest of the same device beyond maxEntries", async () => {
    let now = 0;
    const results = memoryResults({ maxEntries: 2, ttlMs: 100, clock: () => now });
    const hash = bytes(32);
    const kept = async (peer: string) => {
      const found = await Promise.all(["a", "b", "c"].map((id) => results.find(peer, id)));
      return found.map((one) => one !== undefined);
    };
    await results.put("p", "a", hash, bytes(1));
    await results.put("q", "a", hash, bytes(1));
    now = 50;
    await results.put("p", "b", hash, bytes(1));
    await expect(results.put("p", "b", hash, bytes(1))).rejects.toEqual(code("ERR_CONFLICT"));
    await results.put("p", "c", hash, bytes(1));
    expect(await kept("p")).toEqual([false, true, true]);
    expect(await kept("q")).toEqual([true, false, false]);
    now = 100;
    expect(await kept("q")).toEqual([false, false, false]);
    expect(await kept("p")).toEqual([false, true, true]);
    now = 150;
    expect(await kept("p")).toEqual([false, false, false]);
    await results.put("p", "b", hash, bytes(1));
    expect(await kept("p")).toEqual([false, true, false]);
  });
});

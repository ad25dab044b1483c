import { openStream, readStreamHeader, sealStream } from "@lango/envelope";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createNonces, SEGMENT_BYTES, STREAM_HEADER_BYTES } from "../src/stream.ts";
import {
  bytes,
  codeOf,
  collect,
  cut,
  expectPlain,
  pattern,
  testKey,
  text,
  through,
  toHex,
} from "./support.ts";

const AAD = text("aad");
const SEALED_SEGMENT = SEGMENT_BYTES + 16;
const key = testKey();
const sealAll = (plaintext: Uint8Array) => through(sealStream(key, AAD), [plaintext]);
const openAll = (sealed: Uint8Array, aad = AAD) => through(openStream(key, aad), [sealed]);

/** The sealed segments of a stream. */
const segments = (sealed: Uint8Array): Uint8Array[] => {
  const body = sealed.subarray(STREAM_HEADER_BYTES);
  return Array.from({ length: Math.ceil(body.length / SEALED_SEGMENT) }, (_, i) =>
    body.subarray(i * SEALED_SEGMENT, (i + 1) * SEALED_SEGMENT),
  );
};
const join = (...items: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(items));

describe("LNGS", () => {
  it.each([
    [0, 1],
    [1, 1],
    [SEGMENT_BYTES - 1, 1],
    [SEGMENT_BYTES, 1],
    [SEGMENT_BYTES + 1, 2],
    [2 * SEGMENT_BYTES, 2],
    [3 * SEGMENT_BYTES + 5, 4],
  ])("opens what it sealed: %i bytes in %i segments", async (size, count) => {
    const plaintext = pattern(size);
    const sealed = await sealAll(plaintext);
    expect(sealed.length).toBe(STREAM_HEADER_BYTES + size + 16 * count);
    expect(Buffer.compare(await openAll(sealed), plaintext)).toBe(0);
  });

  it("does not depend on how the bytes arrive", async () => {
    const places = fc.array(fc.nat({ max: 300_000 }), { maxLength: 12 });
    const sizes = fc.oneof(
      fc.nat({ max: 300 }),
      fc.constantFrom(SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 * SEGMENT_BYTES),
    );
    await fc.assert(
      fc.asyncProperty(sizes, places, places, async (size, sealAt, openAt) => {
        const plaintext = pattern(size);
        const sealed = await through(sealStream(key, AAD), cut(plaintext, sealAt));
        const opened = await through(openStream(key, AAD), cut(sealed, openAt));
        expect(Buffer.compare(opened, plaintext)).toBe(0);
      }),
      { numRuns: 60 },
    );
    const sealed = await through(
      sealStream(key, AAD),
      cut(
        pattern(300),
        Array.from({ length: 300 }, (_, i) => i),
      ),
    );
    const bytewise = Array.from(sealed, (_, i) => sealed.subarray(i, i + 1));
    expect(await through(openStream(key, AAD), bytewise)).toEqual(pattern(300));
  });

  it("writes the header of the format, with a salt of its own each time", async () => {
    const [a, b] = [await sealAll(bytes(1)), await sealAll(bytes(1))];
    expect(toHex(a.subarray(0, 8))).toBe("4c4e475301100000");
    const header = readStreamHeader(a);
    expect(header).toEqual({
      dataKeyId: key.id,
      commitment: key.commitment,
      salt: a.slice(52, 84),
    });
    expect(toHex(header.salt)).not.toBe(toHex(readStreamHeader(b).salt));
  });

  it("fails for each flipped byte", async () => {
    const sealed = await sealAll(pattern(20));
    for (let i = 0; i < sealed.length; i++) {
      const altered = sealed.slice();
      altered[i]! ^= 1;
      const code = i < 8 ? "ERR_MALFORMED_ENVELOPE" : "ERR_DECRYPTION_FAILED";
      expect(await codeOf(() => openAll(altered))).toBe(code);
    }
  });

  it("fails at each length of a short stream, and at each place of a long one", async () => {
    const short = await sealAll(pattern(20));
    for (let length = 0; length < short.length; length++) {
      const code = length < STREAM_HEADER_BYTES + 16 ? "ERR_MALFORMED_ENVELOPE" : undefined;
      const found = await codeOf(() => openAll(short.subarray(0, length)));
      expect(["ERR_MALFORMED_ENVELOPE", "ERR_DECRYPTION_FAILED"]).toContain(found);
      if (code !== undefined) expect(found).toBe(code);
    }
    const long = await sealAll(pattern(2 * SEGMENT_BYTES + 40));
    for (const segment of [0, 1, 2]) {
      for (const extra of [0, 1, 15, 16, 17, 1_000]) {
        const length = STREAM_HEADER_BYTES + segment * SEALED_SEGMENT + extra;
        if (length >= long.length) continue;
        expect(["ERR_MALFORMED_ENVELOPE", "ERR_DECRYPTION_FAILED"]).toContain(
          await codeOf(() => openAll(long.subarray(0, length))),
        );
      }
    }
  });

  it("fails for segments that are moved, repeated, left out, or follow the last", async () => {
    const sealed = await sealAll(pattern(3 * SEGMENT_BYTES));
    const header = sealed.subarray(0, STREAM_HEADER_BYTES);
    const [a, b, c] = segments(sealed) as [Uint8Array, Uint8Array, Uint8Array];
    expect(Buffer.compare(await openAll(join(header, a, b, c)), pattern(3 * SEGMENT_BYTES))).toBe(
      0,
    );
    for (const order of [
      [b, a, c],
      [a, a, b, c],
      [a, c],
      [b, c],
      [c],
      [a, b],
      [a, b, c, c],
      [a, c, b],
    ]) {
      expect(await codeOf(() => openAll(join(header, ...order)))).toBe("ERR_DECRYPTION_FAILED");
    }
    for (const extra of [1, 16, 17, SEALED_SEGMENT]) {
      const found = await codeOf(() => openAll(join(sealed, bytes(extra))));
      expect(["ERR_MALFORMED_ENVELOPE", "ERR_DECRYPTION_FAILED"]).toContain(found);
    }
  });

  it("takes no empty last segment but that of the empty stream", async () => {
    const empty = await sealAll(bytes(0));
    expect(await openAll(empty)).toHaveLength(0);
    const full = await sealAll(pattern(SEGMENT_BYTES));
    const withEmptyEnd = join(full, empty.subarray(STREAM_HEADER_BYTES));
    expect(["ERR_MALFORMED_ENVELOPE", "ERR_DECRYPTION_FAILED"]).toContain(
      await codeOf(() => openAll(withEmptyEnd)),
    );
  });

  it("does not take the segments of another stream of the same key", async () => {
    const [one, two] = [await sealAll(pattern(10)), await sealAll(pattern(10))];
    const spliced = join(one.subarray(0, STREAM_HEADER_BYTES), two.subarray(STREAM_HEADER_BYTES));
    expect(await codeOf(() => openAll(spliced))).toBe("ERR_DECRYPTION_FAILED");
  });

  it("fails under other AAD and under another key, before anything is emitted", async () => {
    const sealed = await sealAll(pattern(3 * SEGMENT_BYTES));
    for (const transform of [openStream(key, text("other")), openStream(testKey(2), AAD)]) {
      const chunks: Uint8Array[] = [];
      const run = async () => {
        for await (const chunk of ReadableStream.from([sealed]).pipeThrough(transform)) {
          chunks.push(chunk);
        }
      };
      expect(await codeOf(run)).toBe("ERR_DECRYPTION_FAILED");
      expect(chunks).toEqual([]);
    }
  });

  it("emits only what is authenticated: nothing of the altered segment, nothing after it", async () => {
    const sealed = await sealAll(pattern(4 * SEGMENT_BYTES));
    sealed[STREAM_HEADER_BYTES + 2 * SEALED_SEGMENT + 100]! ^= 1;
    const chunks: Uint8Array[] = [];
    const source = ReadableStream.from(cut(sealed, [100_000, 150_000, 200_000, 250_000]));
    const run = async () => {
      for await (const chunk of source.pipeThrough(openStream(key, AAD))) chunks.push(chunk);
    };
    expect(await codeOf(run)).toBe("ERR_DECRYPTION_FAILED");
    const emitted = Buffer.concat(chunks);
    expect(emitted.length).toBeLessThanOrEqual(2 * SEGMENT_BYTES);
    expect(emitted.equals(pattern(emitted.length))).toBe(true);
    for (const chunk of chunks) expectPlain(chunk);
  });

  it("reads no further than its reader: backpressure reaches the source", async () => {
    let pulled = 0;
    const source = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          pulled += 1;
          controller.enqueue(bytes(SEGMENT_BYTES));
        },
      },
      { highWaterMark: 0 },
    );
    const reader = source.pipeThrough(sealStream(key, AAD)).getReader();
    await reader.read();
    await new Promise((resolve) => setTimeout(resolve, 20));
    // 1 MiB waits on either side of the transform, 16 chunks each.
    expect(pulled).toBeLessThan(40);
    await reader.cancel();
  });

  it("refuses chunks that are no bytes, and destroyed keys", async () => {
    const chunks = ["text"] as unknown as Uint8Array[];
    expect(await codeOf(() => through(sealStream(key, AAD), chunks))).toBe("ERR_INVALID_ARGUMENT");
    const destroyed = testKey(3);
    destroyed.destroy();
    expect(await codeOf(() => sealStream(destroyed, AAD))).toBe("ERR_CLOSED");
    expect(await codeOf(() => openStream(destroyed, AAD))).toBe("ERR_CLOSED");
  });

  it("ends at 2^32 segments", () => {
    const next = createNonces(2 ** 32 - 2);
    expect(toHex(next(false)!)).toBe("00000000000000fffffffe00");
    expect(toHex(next(true)!)).toBe("00000000000000ffffffff01");
    expect(next(true)).toBeUndefined();
  });

  it("reads headers of streams only", async () => {
    expect(await codeOf(() => readStreamHeader(bytes(84)))).toBe("ERR_MALFORMED_ENVELOPE");
    const sealed = await sealAll(bytes(0));
    expect(await codeOf(() => readStreamHeader(sealed.subarray(0, 83)))).toBe(
      "ERR_MALFORMED_ENVELOPE",
    );
  });

  it("has an empty stream that ends by itself", async () => {
    expect(await collect(ReadableStream.from([]).pipeThrough(sealStream(key, AAD)))).toHaveLength(
      100,
    );
    expect(await codeOf(() => through(openStream(key, AAD), []))).toBe("ERR_MALFORMED_ENVELOPE");
  });
});

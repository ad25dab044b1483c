import { KeyObject } from "node:crypto";
import { MessageChannel, receiveMessageOnPort } from "node:worker_threads";
import {
  createDataKey,
  MAX_VALUE_BYTES,
  newDataKeyId,
  openValue,
  readValueHeader,
  receiveDataKey,
  SEALED_OVERHEAD_BYTES,
  type SentDataKey,
  sealValue,
  sealValues,
  sendDataKey,
} from "@lango/envelope";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytes, codeOf, expectPlain, pattern, testKey, text } from "./support.ts";

const SIZES = [0, 1, 15, 16, 17, 63, 64, 65, 1023, 1024, 4096, 65_536, 1_048_577];
// Around the 1,024 bytes of the scratch buffer: 52 + 4 + 968.
const AAD_SIZES = [0, 1, 967, 968, 969, 5_000];

describe("data keys", () => {
  it("derives a commitment that depends on the key and on the id", () => {
    const commitments = [
      createDataKey(bytes(32, 1), bytes(12, 1)),
      createDataKey(bytes(32, 1), bytes(12, 2)),
      createDataKey(bytes(32, 2), bytes(12, 1)),
    ].map((key) => Buffer.from(key.commitment).toString("hex"));
    expect(new Set(commitments).size).toBe(3);
  });

  it("go to another thread by reference, and open there", async () => {
    const key = createDataKey(bytes(32, 1), bytes(12, 1));
    const sealed = sealValue(key, text("x"), bytes(0));
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(sendDataKey(key));
    const sent: SentDataKey = receiveMessageOnPort(port2)?.message;
    port1.close();
    const there = receiveDataKey(sent);
    expect([there.id, there.commitment]).toEqual([key.id, key.commitment]);
    expect(openValue(there, sealed, bytes(0))).toEqual(text("x"));
    // What is not public is in the hands of node:crypto.
    const { identity, ...keys } = sent;
    expect(identity).toHaveLength(44);
    for (const held of Object.values(keys)) expect(held).toBeInstanceOf(KeyObject);
    there.destroy();
    expect(await codeOf(() => openValue(there, sealed, bytes(0)))).toBe("ERR_CLOSED");
    expect(openValue(key, sealed, bytes(0))).toEqual(text("x"));
    key.destroy();
    expect(await codeOf(() => sendDataKey(key))).toBe("ERR_CLOSED");
  });

  it("keeps a copy of what it is made from, and shows no key material", () => {
    const material = bytes(32, 7);
    const id = bytes(12, 8);
    const key = createDataKey(material, id);
    const sealed = sealValue(key, text("x"), bytes(0));
    material.fill(0);
    id.fill(0);
    expect(openValue(createDataKey(bytes(32, 7), bytes(12, 8)), sealed, bytes(0))).toEqual(
      text("x"),
    );
    expect(Object.keys(key).sort()).toEqual(["commitment", "destroy", "id"]);
  });

  it("refuses other lengths", async () => {
    for (const [material, id] of [
      [31, 12],
      [33, 12],
      [0, 12],
      [32, 11],
      [32, 13],
    ] as const) {
      expect(await codeOf(() => createDataKey(bytes(material), bytes(id)))).toBe(
        "ERR_INVALID_ARGUMENT",
      );
    }
  });

  it("throws ERR_CLOSED once destroyed", async () => {
    const key = testKey();
    const sealed = sealValue(key, text("x"), bytes(0));
    key.destroy();
    key.destroy();
    expect(await codeOf(() => sealValue(key, text("x"), bytes(0)))).toBe("ERR_CLOSED");
    expect(await codeOf(() => openValue(key, sealed, bytes(0)))).toBe("ERR_CLOSED");
  });

  it("makes ids of 12 bytes, each another", () => {
    const ids = Array.from({ length: 100 }, () => Buffer.from(newDataKeyId()).toString("hex"));
    expect(new Set(ids).size).toBe(100);
    expect(newDataKeyId()).toHaveLength(12);
  });
});

describe("many values at once", () => {
  it("open as those that are sealed one by one, each with a nonce of its own", () => {
    const key = testKey();
    const values = SIZES.map((size) => ({ plaintext: pattern(size), aad: pattern(size % 7) }));
    const sealed = sealValues(key, values);
    const opened = sealed.map((one, i) => openValue(key, one, values[i]!.aad));
    expect(opened).toEqual(values.map(({ plaintext }) => plaintext));
    const nonces = sealed.map((one) => Buffer.from(one.subarray(52, 64)).toString("hex"));
    expect(new Set(nonces).size).toBe(SIZES.length);
    expect(sealValues(key, [])).toEqual([]);
  });
});

describe("LNG1", () => {
  it("opens what it sealed, at every boundary of value and AAD", () => {
    const key = testKey();
    for (const size of SIZES) {
      for (const aadSize of AAD_SIZES) {
        const plaintext = pattern(size);
        const aad = pattern(aadSize, 3);
        const sealed = sealValue(key, plaintext, aad);
        expect(sealed.length).toBe(size + SEALED_OVERHEAD_BYTES);
        expectPlain(sealed);
        const opened = openValue(key, sealed, aad);
        expectPlain(opened);
        expect(Buffer.compare(opened, plaintext)).toBe(0);
        expect(Buffer.compare(plaintext, pattern(size))).toBe(0);
      }
    }
  });

  it("round-trips anything", () => {
    const key = testKey();
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.uint8Array({ maxLength: 1_500 }),
        (p, a) => {
          expect(openValue(key, sealValue(key, p, a), a)).toEqual(new Uint8Array(p));
        },
      ),
    );
  });

  it("takes Buffers out of a pool, and views", () => {
    const key = testKey();
    const pooled = Buffer.from("hello from a pool");
    const sealed = Buffer.from(sealValue(key, pooled, Buffer.from("aad")));
    expect(openValue(key, sealed, text("aad"))).toEqual(text("hello from a pool"));
    const wide = new Uint8Array(sealed.length + 20);
    wide.set(sealed, 11);
    const view = wide.subarray(11, 11 + sealed.length);
    expect(openValue(key, view, text("aad"))).toEqual(text("hello from a pool"));
  });

  it("never gives the same bytes twice", () => {
    const key = testKey();
    const nonces = Array.from({ length: 1_000 }, () =>
      Buffer.from(sealValue(key, bytes(1), bytes(0)).subarray(52, 64)).toString("hex"),
    );
    expect(new Set(nonces).size).toBe(1_000);
  });

  it("writes the header of the format", () => {
    const key = testKey();
    const sealed = sealValue(key, text("value"), text("aad"));
    expect(Buffer.from(sealed.subarray(0, 8)).toString("latin1")).toBe("LNG1\u0001\0\0\0");
    expect(sealed.slice(8, 20)).toEqual(key.id);
    expect(sealed.slice(20, 52)).toEqual(key.commitment);
    expect(readValueHeader(sealed)).toEqual({ dataKeyId: key.id, commitment: key.commitment });
  });

  it.each([0, 1, 40])("fails for each flipped bit of a value of %i bytes", async (size) => {
    const key = testKey();
    const aad = text("aad");
    const sealed = sealValue(key, pattern(size), aad);
    for (let i = 0; i < sealed.length; i++) {
      for (const bit of [1, 0x80]) {
        const altered = sealed.slice();
        altered[i]! ^= bit;
        const code = i < 8 ? "ERR_MALFORMED_ENVELOPE" : "ERR_DECRYPTION_FAILED";
        expect(await codeOf(() => openValue(key, altered, aad))).toBe(code);
      }
    }
  });

  it("fails at each length but the right one", async () => {
    const key = testKey();
    const sealed = sealValue(key, pattern(40), text("aad"));
    for (let length = 0; length < sealed.length; length++) {
      const code =
        length < SEALED_OVERHEAD_BYTES ? "ERR_MALFORMED_ENVELOPE" : "ERR_DECRYPTION_FAILED";
      expect(await codeOf(() => openValue(key, sealed.subarray(0, length), text("aad")))).toBe(
        code,
      );
    }
    const longer = new Uint8Array(sealed.length + 1);
    longer.set(sealed);
    expect(await codeOf(() => openValue(key, longer, text("aad")))).toBe("ERR_DECRYPTION_FAILED");
  });

  it("fails under other AAD, also one that only moves the boundary to the header", async () => {
    const key = testKey();
    const sealed = sealValue(key, text("v"), text("ab"));
    for (const aad of ["", "a", "abc", "ab\0", "\0\0\0\u0002ab", "AB"]) {
      expect(await codeOf(() => openValue(key, sealed, text(aad)))).toBe("ERR_DECRYPTION_FAILED");
    }
  });

  it("refuses another key by the commitment, before anything is decrypted", async () => {
    const [ours, foreign] = [testKey(1), testKey(2)];
    const sealed = sealValue(foreign, text("v"), bytes(0));
    expect(await codeOf(() => openValue(ours, sealed, bytes(0)))).toBe("ERR_DECRYPTION_FAILED");
    // The partitioning-oracle attempt: our id and commitment before a body that is authentic under the other key.
    const forged = sealed.slice();
    forged.set(ours.id, 8);
    forged.set(ours.commitment, 20);
    expect(await codeOf(() => openValue(foreign, forged, bytes(0)))).toBe("ERR_DECRYPTION_FAILED");
    expect(await codeOf(() => openValue(ours, forged, bytes(0)))).toBe("ERR_DECRYPTION_FAILED");
    // Same key bytes under another id are another key.
    const sameBytes = createDataKey(bytes(32, 1), bytes(12, 9));
    expect(
      await codeOf(() => openValue(sameBytes, sealValue(ours, text("v"), bytes(0)), bytes(0))),
    ).toBe("ERR_DECRYPTION_FAILED");
  });

  it("gives one message for every reason, and no secret in it", async () => {
    const key = testKey();
    const sealed = sealValue(key, text("hunter2"), text("ctx"));
    const altered = sealed.slice();
    altered[70]! ^= 1;
    const messages = new Set<string>();
    for (const run of [
      () => openValue(key, altered, text("ctx")),
      () => openValue(key, sealed, text("other")),
      () => openValue(testKey(2), sealed, text("ctx")),
    ]) {
      try {
        run();
      } catch (error) {
        messages.add(String(error));
      }
    }
    expect(messages.size).toBe(1);
    expect([...messages][0]).not.toMatch(/hunter2|ctx/);
  });

  it("holds 64 MiB and not a byte more", async () => {
    const key = testKey();
    const largest = bytes(MAX_VALUE_BYTES, 5);
    const sealed = sealValue(key, largest, bytes(0));
    expect(Buffer.compare(openValue(key, sealed, bytes(0)), largest)).toBe(0);
    expect(await codeOf(() => sealValue(key, bytes(MAX_VALUE_BYTES + 1), bytes(0)))).toBe(
      "ERR_INVALID_ARGUMENT",
    );
    const longer = new Uint8Array(sealed.length + 1);
    longer.set(sealed);
    expect(await codeOf(() => openValue(key, longer, bytes(0)))).toBe("ERR_MALFORMED_ENVELOPE");
    expect(await codeOf(() => readValueHeader(longer))).toBe("ERR_MALFORMED_ENVELOPE");
    expect(await codeOf(() => sealValue(key, bytes(1), bytes(MAX_VALUE_BYTES + 1)))).toBe(
      "ERR_INVALID_ARGUMENT",
    );
  });
});

import assert from "node:assert/strict";
import type { WrapKeyResult } from "@lango/crypto-core";
import { assertBytes, assertOwnBytes, flip, indexes, pattern, rejectsWith } from "../assertions.ts";
import type { Check, CheckContext, Need } from "../harness.ts";
import { dataKeyAad } from "./wrap.ts";

const needs: readonly Need[] = ["rewrapKey", "wrapKey", "unwrapKey"];
const needsAad: readonly Need[] = [...needs, "wrapAad"];

/** rewrapKey: a wrapped key under another key. */
export const rewrapChecks: readonly Check[] = [
  {
    name: "rewrapKey: the key comes back under another key, and under the same one",
    needs,
    async run({ provider, keys }) {
      const [keyId, other] = keys.aead!;
      const key = pattern(32);
      for (const toKeyId of [other, keyId]) {
        const { wrappedKey } = await provider.wrapKey({ keyId, key });
        const moved = await provider.rewrapKey({ keyId, toKeyId, wrappedKey });
        const unwrapped = await provider.unwrapKey({ ...moved, keyId: toKeyId });
        assertBytes(unwrapped, key, `the key after rewrapKey to ${toKeyId}`);
        assertBytes(await provider.unwrapKey({ keyId, wrappedKey }), key, "the old wrap");
      }
    },
  },
  {
    name: "rewrapKey: what it made is ERR_DECRYPTION_FAILED under the old key",
    needs,
    async run(context) {
      const [keyId] = context.keys.aead!;
      const { wrappedKey } = await move(context);
      const call = () => context.provider.unwrapKey({ keyId, wrappedKey });
      await rejectsWith("ERR_DECRYPTION_FAILED", call, "unwrapKey with the old key");
    },
  },
  {
    name: "rewrapKey: the AAD stays the same",
    needs: needsAad,
    async run(context) {
      const { provider, keys } = context;
      const keyId = keys.aead![1];
      const aad = dataKeyAad();
      const { wrappedKey } = await move(context, aad);
      assertBytes(await provider.unwrapKey({ keyId, wrappedKey, aad }), pattern(32), "the key");
      for (const other of [flip(aad, aad.length - 1), undefined]) {
        const call = () => provider.unwrapKey({ keyId, wrappedKey, aad: other });
        await rejectsWith("ERR_DECRYPTION_FAILED", call, "unwrapKey with another AAD");
      }
    },
  },
  {
    name: "rewrapKey: a wrong, missing or added AAD is ERR_DECRYPTION_FAILED",
    needs: needsAad,
    async run({ provider, keys }) {
      const [keyId, toKeyId] = keys.aead!;
      const aad = dataKeyAad();
      const cases = [
        { sealed: aad, given: flip(aad, aad.length - 1), what: "another" },
        { sealed: aad, given: undefined, what: "a missing" },
        { sealed: undefined, given: aad, what: "an added" },
      ];
      for (const { sealed, given, what } of cases) {
        const { wrappedKey } = await provider.wrapKey({ keyId, key: pattern(32), aad: sealed });
        const call = () => provider.rewrapKey({ keyId, toKeyId, wrappedKey, aad: given });
        await rejectsWith("ERR_DECRYPTION_FAILED", call, `rewrapKey with ${what} AAD`);
      }
    },
  },
  {
    name: "rewrapKey: altered bytes and a key wrapped under another key are ERR_DECRYPTION_FAILED",
    needs,
    async run({ provider, keys }) {
      const [keyId, toKeyId] = keys.aead!;
      const { wrappedKey } = await provider.wrapKey({ keyId, key: pattern(32) });
      for (const index of indexes(wrappedKey.length, false)) {
        const altered = flip(wrappedKey, index);
        const call = () => provider.rewrapKey({ keyId, toKeyId, wrappedKey: altered });
        await rejectsWith("ERR_DECRYPTION_FAILED", call, `rewrapKey with byte ${index} altered`);
      }
      const call = () => provider.rewrapKey({ keyId: toKeyId, toKeyId, wrappedKey });
      await rejectsWith("ERR_DECRYPTION_FAILED", call, "rewrapKey from another key");
    },
  },
  {
    name: "rewrapKey: the result names the target key and its current version",
    needs: [...needs, "describeKey"],
    async run(context) {
      const keyId = context.keys.aead![1];
      const { keyVersion } = await context.provider.describeKey({ keyId });
      const result = await move(context);
      assert.deepEqual([result.keyId, result.keyVersion], [keyId, keyVersion]);
    },
  },
  {
    name: "rewrapKey: a key that does not exist, old or new, is ERR_KEY_NOT_FOUND",
    needs,
    async run({ provider, keys }) {
      const [keyId] = keys.aead!;
      const { missing } = keys;
      const { wrappedKey } = await provider.wrapKey({ keyId, key: pattern(32) });
      const from = () => provider.rewrapKey({ keyId: missing, toKeyId: keyId, wrappedKey });
      await rejectsWith("ERR_KEY_NOT_FOUND", from, "rewrapKey from a missing key");
      const to = () => provider.rewrapKey({ keyId, toKeyId: missing, wrappedKey });
      await rejectsWith("ERR_KEY_NOT_FOUND", to, "rewrapKey to a missing key");
    },
  },
  {
    name: "rewrapKey: the result has memory of its own, and the inputs are not changed",
    needs,
    async run({ provider, keys }) {
      const [keyId, toKeyId] = keys.aead!;
      const { wrappedKey } = await provider.wrapKey({ keyId, key: pattern(32) });
      const copy = Uint8Array.from(wrappedKey);
      const moved = await provider.rewrapKey({ keyId, toKeyId, wrappedKey });
      assertOwnBytes(moved.wrappedKey, [wrappedKey], "the wrapped key");
      assertBytes(wrappedKey, copy, "the old wrap after rewrapKey");
    },
  },
];

/** Wraps a key of 32 bytes under the first key and moves it to the second. */
async function move({ provider, keys }: CheckContext, aad?: Uint8Array): Promise<WrapKeyResult> {
  const [keyId, toKeyId] = keys.aead!;
  const { wrappedKey } = await provider.wrapKey({ keyId, key: pattern(32), aad });
  return provider.rewrapKey({ keyId, toKeyId, wrappedKey, aad });
}

import assert from "node:assert/strict";
import { concat, utf8 } from "@lango/crypto-core";
import { assertBytes, assertOwnBytes, flip, indexes, pattern, rejectsWith } from "../assertions.ts";
import type { Check, CheckContext, Need } from "../harness.ts";

const needs: readonly Need[] = ["wrapKey", "unwrapKey"];
const needsAad: readonly Need[] = [...needs, "wrapAad"];

/** wrapKey and unwrapKey: what envelopes stand on. */
export const wrapChecks: readonly Check[] = [
  {
    name: "wrapKey: keys of 16, 32 and the most bytes come back",
    needs,
    async run(context) {
      for (const length of [16, 32, context.provider.capabilities.maxWrapBytes]) {
        await roundTrip(context, pattern(length));
      }
    },
  },
  {
    name: "wrapKey: 15 bytes and one byte too many are ERR_INVALID_ARGUMENT",
    needs,
    async run({ client, keys }) {
      for (const length of [15, client.capabilities.maxWrapBytes + 1]) {
        const call = () => client.wrapKey({ keyId: keys.aead![0], key: pattern(length) });
        await rejectsWith("ERR_INVALID_ARGUMENT", call, `wrapKey of ${length} bytes`);
      }
    },
  },
  {
    name: "wrapKey: a data key with the AAD of an envelope comes back",
    needs: needsAad,
    async run(context) {
      await roundTrip(context, pattern(32), dataKeyAad());
    },
  },
  {
    name: "wrapKey: the result names the key and its current version",
    needs: [...needs, "describeKey"],
    async run({ provider, keys }) {
      const keyId = keys.aead![0];
      const { keyVersion } = await provider.describeKey({ keyId });
      const result = await provider.wrapKey({ keyId, key: pattern(32) });
      assert.deepEqual([result.keyId, result.keyVersion], [keyId, keyVersion]);
    },
  },
  {
    name: "wrapKey: results are plain Uint8Arrays over memory of their own",
    needs,
    async run({ provider, keys }) {
      const keyId = keys.aead![0];
      const key = pattern(32);
      const { wrappedKey } = await provider.wrapKey({ keyId, key });
      assertOwnBytes(wrappedKey, [key], "the wrapped key");
      const unwrapped = await provider.unwrapKey({ keyId, wrappedKey });
      assertOwnBytes(unwrapped, [key, wrappedKey], "the unwrapped key");
    },
  },
  {
    name: "wrapKey: inputs are not changed",
    needs,
    async run({ provider, keys }) {
      const keyId = keys.aead![0];
      const key = pattern(24);
      const { wrappedKey } = await provider.wrapKey({ keyId, key });
      assertBytes(key, pattern(24), "the key after wrapKey");
      const copy = Uint8Array.from(wrappedKey);
      await provider.unwrapKey({ keyId, wrappedKey });
      assertBytes(wrappedKey, copy, "the wrapped key after unwrapKey");
    },
  },
  {
    name: "unwrapKey: every altered byte is ERR_DECRYPTION_FAILED",
    needs,
    async run({ provider, keys, everyByte = true }) {
      const keyId = keys.aead![0];
      const { wrappedKey } = await provider.wrapKey({ keyId, key: pattern(32) });
      for (const index of indexes(wrappedKey.length, everyByte)) {
        const call = () => provider.unwrapKey({ keyId, wrappedKey: flip(wrappedKey, index) });
        await rejectsWith("ERR_DECRYPTION_FAILED", call, `unwrapKey with byte ${index} altered`);
      }
    },
  },
  {
    name: "unwrapKey: a wrong, missing or added AAD is ERR_DECRYPTION_FAILED",
    needs: needsAad,
    async run({ provider, keys }) {
      const keyId = keys.aead![0];
      const aad = dataKeyAad();
      const cases = [
        { sealed: aad, opened: flip(aad, aad.length - 1), what: "another" },
        { sealed: aad, opened: undefined, what: "a missing" },
        { sealed: undefined, opened: aad, what: "an added" },
      ];
      for (const { sealed, opened, what } of cases) {
        const { wrappedKey } = await provider.wrapKey({ keyId, key: pattern(32), aad: sealed });
        const call = () => provider.unwrapKey({ keyId, wrappedKey, aad: opened });
        await rejectsWith("ERR_DECRYPTION_FAILED", call, `unwrapKey with ${what} AAD`);
      }
    },
  },
  {
    name: "unwrapKey: a key wrapped under another key is ERR_DECRYPTION_FAILED",
    needs,
    async run({ provider, keys }) {
      const [keyId, other] = keys.aead!;
      const { wrappedKey } = await provider.wrapKey({ keyId, key: pattern(32) });
      const call = () => provider.unwrapKey({ keyId: other, wrappedKey });
      await rejectsWith("ERR_DECRYPTION_FAILED", call, "unwrapKey with another key");
    },
  },
  {
    name: "unwrapKey: does not open what encrypt made, nor decrypt what wrapKey made",
    needs: [...needs, "encrypt", "decrypt"],
    async run({ provider, keys, separateWrap = true }) {
      const keyId = keys.aead![0];
      const key = pattern(32);
      const { ciphertext } = await provider.encrypt({ keyId, plaintext: key });
      const { wrappedKey } = await provider.wrapKey({ keyId, key });
      const unwrap = () => provider.unwrapKey({ keyId, wrappedKey: ciphertext });
      const decrypt = () => provider.decrypt({ keyId, ciphertext: wrappedKey });
      if (separateWrap) {
        await rejectsWith("ERR_DECRYPTION_FAILED", unwrap, "unwrapKey of a ciphertext");
        await rejectsWith("ERR_DECRYPTION_FAILED", decrypt, "decrypt of a wrapped key");
      } else {
        assertBytes(await unwrap(), key, "unwrapKey of a ciphertext (separateWrap: false)");
        assertBytes(await decrypt(), key, "decrypt of a wrapped key (separateWrap: false)");
      }
    },
  },
];

/**
 * The wrap AAD of LNGR as docs/formats.md has it: parts("lango/v1/dek", key id, commitment). Built here, because a
 * dependency on `@lango/envelope` would tie every provider's tests to it.
 */
export function dataKeyAad(): Uint8Array {
  const u32 = (value: number) => Uint8Array.of(0, 0, 0, value);
  const fields = [utf8("lango/v1/dek"), pattern(12, 3), pattern(32, 4)];
  return concat(u32(fields.length), ...fields.flatMap((field) => [u32(field.length), field]));
}

async function roundTrip(
  { provider, keys }: CheckContext,
  key: Uint8Array,
  aad?: Uint8Array,
): Promise<void> {
  const keyId = keys.aead![0];
  const { wrappedKey } = await provider.wrapKey({ keyId, key, aad });
  const unwrapped = await provider.unwrapKey({ keyId, wrappedKey, aad });
  assertBytes(unwrapped, key, `the key of ${key.length} bytes`);
}

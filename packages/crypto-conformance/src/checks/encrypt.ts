import assert from "node:assert/strict";
import { bytesEqual } from "@lango/crypto-core";
import { assertBytes, assertOwnBytes, flip, indexes, pattern, rejectsWith } from "../assertions.ts";
import type { Check, CheckContext, Need } from "../harness.ts";

const needs: readonly Need[] = ["encrypt", "decrypt"];

/** encrypt and decrypt without AAD. */
export const encryptChecks: readonly Check[] = [
  {
    name: "encrypt: 0, 1, 15, 16, 17 and 4096 bytes come back",
    needs,
    async run(context) {
      const { maxPlaintextBytes } = context.provider.capabilities;
      for (const length of [0, 1, 15, 16, 17, Math.min(4096, maxPlaintextBytes)]) {
        await roundTrip(context, pattern(length));
      }
    },
  },
  {
    name: "encrypt: the largest plaintext comes back",
    needs,
    run: (context) => roundTrip(context, pattern(context.provider.capabilities.maxPlaintextBytes)),
  },
  {
    name: "encrypt: one byte more than the largest plaintext is ERR_INVALID_ARGUMENT",
    needs,
    async run({ client, keys }) {
      const plaintext = new Uint8Array(client.capabilities.maxPlaintextBytes + 1);
      const call = () => client.encrypt({ keyId: keys.aead![0], plaintext });
      await rejectsWith("ERR_INVALID_ARGUMENT", call, "encrypt of one byte too many");
    },
  },
  {
    name: "encrypt: equal plaintexts give different ciphertexts",
    needs,
    async run({ provider, keys }) {
      const seen = new Set<string>();
      for (let call = 0; call < 8; call++) {
        const { ciphertext } = await provider.encrypt({
          keyId: keys.aead![0],
          plaintext: pattern(32),
        });
        seen.add(Buffer.from(ciphertext).toString("hex"));
      }
      assert.equal(seen.size, 8, "two of 8 ciphertexts of one plaintext are equal");
    },
  },
  {
    name: "encrypt: the ciphertext does not show the plaintext",
    needs,
    async run({ provider, keys }) {
      const plaintext = pattern(64);
      const { ciphertext } = await provider.encrypt({ keyId: keys.aead![0], plaintext });
      assert.ok(
        Buffer.from(ciphertext).indexOf(plaintext.subarray(0, 16)) === -1,
        "the ciphertext holds 16 bytes of the plaintext",
      );
    },
  },
  {
    name: "encrypt: the result names the key and its current version",
    needs: [...needs, "describeKey"],
    async run({ provider, keys }) {
      const keyId = keys.aead![0];
      const { keyVersion } = await provider.describeKey({ keyId });
      const result = await provider.encrypt({ keyId, plaintext: pattern(16) });
      assert.deepEqual(
        [result.keyId, result.keyVersion],
        [keyId, keyVersion],
        "encrypt names another key or version than describeKey",
      );
    },
  },
  {
    name: "encrypt: results are plain Uint8Arrays over memory of their own",
    needs,
    async run({ provider, keys }) {
      // Small enough for the pool that Node's Buffers are cut from, and empty.
      for (const plaintext of [pattern(24), new Uint8Array()]) {
        const keyId = keys.aead![0];
        const { ciphertext } = await provider.encrypt({ keyId, plaintext });
        assertOwnBytes(ciphertext, [plaintext], "the ciphertext");
        const opened = await provider.decrypt({ keyId, ciphertext });
        assertOwnBytes(opened, [plaintext, ciphertext], "the decrypted plaintext");
      }
    },
  },
  {
    name: "encrypt: inputs are not changed",
    needs,
    async run({ provider, keys }) {
      const keyId = keys.aead![0];
      const plaintext = pattern(50);
      const { ciphertext } = await provider.encrypt({ keyId, plaintext });
      assertBytes(plaintext, pattern(50), "the plaintext after encrypt");
      const copy = Uint8Array.from(ciphertext);
      await provider.decrypt({ keyId, ciphertext });
      assertBytes(ciphertext, copy, "the ciphertext after decrypt");
    },
  },
  {
    name: "decrypt: every altered byte is ERR_DECRYPTION_FAILED",
    needs,
    async run({ provider, keys, everyByte = true }) {
      const keyId = keys.aead![0];
      const { ciphertext } = await provider.encrypt({ keyId, plaintext: pattern(20) });
      for (const index of indexes(ciphertext.length, everyByte)) {
        const call = () => provider.decrypt({ keyId, ciphertext: flip(ciphertext, index) });
        await rejectsWith("ERR_DECRYPTION_FAILED", call, `decrypt with byte ${index} altered`);
      }
    },
  },
  {
    name: "decrypt: every truncation, and one byte more, is ERR_DECRYPTION_FAILED",
    needs,
    async run({ provider, keys, everyByte = true }) {
      const keyId = keys.aead![0];
      const { ciphertext } = await provider.encrypt({ keyId, plaintext: pattern(20) });
      for (const length of indexes(ciphertext.length, everyByte)) {
        const call = () => provider.decrypt({ keyId, ciphertext: ciphertext.slice(0, length) });
        const what = `decrypt of the first ${length} of ${ciphertext.length} bytes`;
        // Services refuse an empty ciphertext as an argument, before any key is used.
        const codes = ["ERR_DECRYPTION_FAILED", "ERR_INVALID_ARGUMENT"] as const;
        await rejectsWith(length === 0 ? codes : codes[0], call, what);
      }
      const longer = Uint8Array.of(...ciphertext, 0);
      const call = () => provider.decrypt({ keyId, ciphertext: longer });
      await rejectsWith("ERR_DECRYPTION_FAILED", call, "decrypt with one byte more");
    },
  },
  {
    name: "decrypt: the ciphertext of another key is ERR_DECRYPTION_FAILED",
    needs,
    async run({ provider, keys }) {
      const [keyId, other] = keys.aead!;
      const { ciphertext } = await provider.encrypt({ keyId, plaintext: pattern(20) });
      const call = () => provider.decrypt({ keyId: other, ciphertext });
      await rejectsWith("ERR_DECRYPTION_FAILED", call, "decrypt with another key");
    },
  },
  {
    name: "decrypt: a wrong key and altered bytes give the same message",
    needs,
    async run({ provider, keys }) {
      const [keyId, other] = keys.aead!;
      const own = await provider.encrypt({ keyId, plaintext: pattern(20) });
      const foreign = await provider.encrypt({ keyId: other, plaintext: pattern(20) });
      const messageOf = async (ciphertext: Uint8Array) => {
        const call = () => provider.decrypt({ keyId, ciphertext });
        return (await rejectsWith("ERR_DECRYPTION_FAILED", call, "decrypt")).message;
      };
      const altered = await messageOf(flip(own.ciphertext, own.ciphertext.length - 1));
      assert.equal(await messageOf(foreign.ciphertext), altered, "the message tells the reason");
    },
  },
  {
    name: "decrypt: takes the key version that encrypt named",
    needs,
    async run({ provider, keys }) {
      const keyId = keys.aead![0];
      const { ciphertext, keyVersion } = await provider.encrypt({ keyId, plaintext: pattern(20) });
      const opened = await provider.decrypt({ keyId, ciphertext, keyVersion });
      assertBytes(opened, pattern(20), "the plaintext");
    },
  },
  {
    name: "rotateKey: a new version is the current one, and older ciphertexts open",
    needs: [...needs, "rotateKey", "describeKey"],
    async run({ provider, keys }) {
      const keyId = keys.rotatable!;
      const plaintext = pattern(20);
      const old = await provider.encrypt({ keyId, plaintext });
      const rotated = await provider.rotateKey({ keyId });
      assert.notEqual(rotated.keyVersion, old.keyVersion, "rotateKey names the old version");
      assert.equal((await provider.describeKey({ keyId })).keyVersion, rotated.keyVersion);
      const young = await provider.encrypt({ keyId, plaintext });
      assert.equal(young.keyVersion, rotated.keyVersion, "encrypt names the old version");
      for (const { ciphertext, keyVersion } of [old, young]) {
        const opened = await provider.decrypt({ keyId, ciphertext, keyVersion });
        assertBytes(opened, plaintext, `the plaintext of version ${keyVersion}`);
      }
      assert.ok(!bytesEqual(old.ciphertext, young.ciphertext), "both ciphertexts are equal");
    },
  },
];

async function roundTrip({ provider, keys }: CheckContext, plaintext: Uint8Array): Promise<void> {
  const keyId = keys.aead![0];
  const { ciphertext } = await provider.encrypt({ keyId, plaintext });
  const opened = await provider.decrypt({ keyId, ciphertext });
  assertBytes(opened, plaintext, `the plaintext of ${plaintext.length} bytes`);
}

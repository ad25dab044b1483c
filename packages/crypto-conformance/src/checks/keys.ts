import assert from "node:assert/strict";
import { bytesEqual, type KeyUsage } from "@lango/crypto-core";
import { assertOwnBytes, pattern, rejectsWith } from "../assertions.ts";
import type { Check, CheckContext, HarnessKeys } from "../harness.ts";

/** Keys and what is known about them; random bytes; health. */
export const keyChecks: readonly Check[] = [
  {
    name: "encrypt: a key that does not exist is ERR_KEY_NOT_FOUND",
    needs: ["encrypt", "decrypt"],
    async run({ provider, keys }) {
      const { ciphertext } = await provider.encrypt({
        keyId: keys.aead![0],
        plaintext: pattern(16),
      });
      const keyId = keys.missing;
      const encrypt = () => provider.encrypt({ keyId, plaintext: pattern(16) });
      await rejectsWith("ERR_KEY_NOT_FOUND", encrypt, "encrypt");
      const decrypt = () => provider.decrypt({ keyId, ciphertext });
      await rejectsWith("ERR_KEY_NOT_FOUND", decrypt, "decrypt");
    },
  },
  {
    name: "sign: a key that does not exist is ERR_KEY_NOT_FOUND",
    needs: ["sign"],
    async run({ provider, keys }) {
      const call = () => provider.sign({ keyId: keys.missing, message: pattern(16) });
      await rejectsWith("ERR_KEY_NOT_FOUND", call, "sign");
    },
  },
  {
    name: "describeKey: a key that does not exist is ERR_KEY_NOT_FOUND",
    needs: ["describeKey"],
    async run({ provider, keys }) {
      const call = () => provider.describeKey({ keyId: keys.missing });
      await rejectsWith("ERR_KEY_NOT_FOUND", call, "describeKey");
    },
  },
  {
    name: "disabled key: its use is ERR_KEY_DISABLED",
    needs: ["describeKey", "disabledKey"],
    async run({ provider, keys }) {
      if (typeof keys.disabled === "object") {
        // No key of this service can be disabled: then none of them may be described so.
        for (const keyId of everyKey(keys)) {
          const { state } = await provider.describeKey({ keyId });
          assert.notEqual(state, "disabled", `${keyId} is, though: ${keys.disabled.impossible}`);
        }
        return;
      }
      const keyId = keys.disabled!;
      const { state, usage } = await provider.describeKey({ keyId });
      assert.equal(state, "disabled", "describeKey says otherwise");
      const message = pattern(16);
      const calls: Record<KeyUsage, () => Promise<unknown>> = {
        encryption: () => provider.encrypt({ keyId, plaintext: message }),
        signing: () => provider.sign({ keyId, message }),
        mac: () => provider.mac({ keyId, message }),
      };
      await rejectsWith("ERR_KEY_DISABLED", calls[usage], `a disabled key for ${usage}`);
    },
  },
  {
    name: "encrypt: a key for signing is ERR_KEY_USAGE",
    needs: ["encrypt", "sign"],
    async run({ provider, keys }) {
      const [keyId] = Object.values(keys.signing!);
      const call = () => provider.encrypt({ keyId: keyId!, plaintext: pattern(16) });
      await rejectsWith("ERR_KEY_USAGE", call, "encrypt with a key for signing");
    },
  },
  {
    name: "sign: a key for encryption is ERR_KEY_USAGE",
    needs: ["encrypt", "sign"],
    async run({ provider, keys }) {
      const call = () => provider.sign({ keyId: keys.aead![0], message: pattern(16) });
      await rejectsWith("ERR_KEY_USAGE", call, "sign with a key for encryption");
    },
  },
  {
    name: "mac: a key for encryption is ERR_KEY_USAGE",
    needs: ["encrypt", "mac"],
    async run({ provider, keys }) {
      const call = () => provider.mac({ keyId: keys.aead![0], message: pattern(16) });
      await rejectsWith("ERR_KEY_USAGE", call, "mac with a key for encryption");
    },
  },
  {
    name: "describeKey: says what each key is for, and that it is enabled",
    needs: ["describeKey"],
    async run({ provider, keys }) {
      const usages: [KeyUsage, readonly string[]][] = [
        ["encryption", keys.aead ?? []],
        ["signing", Object.values(keys.signing ?? {})],
        ["mac", Object.values(keys.mac ?? {})],
      ];
      for (const [usage, keyIds] of usages) {
        for (const keyId of keyIds) {
          const key = await provider.describeKey({ keyId });
          assert.deepEqual([key.keyId, key.usage, key.state], [keyId, usage, "enabled"]);
          assert.notEqual(key.keyVersion, "", "the key has no version");
        }
      }
    },
  },
  {
    name: "listKeys: gives every key as describeKey does, once",
    needs: ["listKeys", "describeKey"],
    async run({ provider, keys }) {
      const listed = new Map<string, unknown>();
      for await (const key of provider.listKeys({})) {
        assert.ok(!listed.has(key.keyId), `${key.keyId} comes twice`);
        listed.set(key.keyId, key);
      }
      for (const keyId of everyKey(keys)) {
        const described = await provider.describeKey({ keyId });
        assert.deepEqual(listed.get(keyId), described, `${keyId} in the list`);
      }
      assert.ok(!listed.has(keys.missing), "lists the key that does not exist");
    },
  },
  {
    name: "createKey: makes a key that works; a name in use is ERR_CONFLICT",
    needs: ["createKey", "describeKey"],
    async run({ provider, keys }) {
      for (const algorithm of provider.capabilities.keyAlgorithms) {
        const usage = usageOf(algorithm);
        const keyId = keys.fresh!();
        const created = await provider.createKey({ keyId, algorithm, usage });
        assert.deepEqual([created.algorithm, created.usage], [algorithm, usage]);
        assert.deepEqual(await provider.describeKey({ keyId: created.keyId }), created);
        const again = () => provider.createKey({ keyId, algorithm, usage });
        await rejectsWith("ERR_CONFLICT", again, `createKey of ${algorithm} with the same name`);
        await useOnce(provider, created.keyId, usage);
      }
    },
  },
  {
    name: "random: as many bytes as asked, other ones each time",
    needs: ["random"],
    async run({ provider }) {
      const seen: Uint8Array[] = [];
      for (const bytes of [1, 32, 32, 1024]) {
        const random = await provider.random({ bytes });
        assert.equal(random.length, bytes);
        assertOwnBytes(random, seen, "random bytes");
        seen.push(random);
      }
      assert.ok(!bytesEqual(seen[1]!, seen[2]!), "32 random bytes came twice");
      // Every half of them is random: all 512 bytes would be zero once in 2^4096 calls.
      assert.ok(seen[3]!.subarray(512).some(Boolean), "the second half of 1024 bytes is zero");
    },
  },
  {
    name: "random: 0 and 1025 bytes are ERR_INVALID_ARGUMENT",
    needs: ["random"],
    async run({ client }) {
      for (const bytes of [0, 1025]) {
        await rejectsWith("ERR_INVALID_ARGUMENT", () => client.random({ bytes }), `${bytes} bytes`);
      }
    },
  },
  {
    name: "health: healthy, checked now",
    needs: ["health"],
    async run({ provider, keys }) {
      for (const keyId of [undefined, everyKey(keys)[0]]) {
        const started = Date.now();
        const report = await provider.health({ keyId });
        assert.equal(report.healthy, true, `not healthy: ${report.reason}`);
        // One millisecond: the clock may be read before it ticks.
        assert.ok(report.checkedAt >= started - 1, "the time of the check lies before the call");
        assert.ok(report.checkedAt <= Date.now() + 1, "the time of the check lies in the future");
        assert.ok(report.latencyMs >= 0 && report.latencyMs <= Date.now() - started + 1);
      }
    },
  },
  {
    name: "health: a key that does not exist is a reason, not a rejection",
    needs: ["health"],
    async run({ provider, keys }) {
      const report = await provider.health({ keyId: keys.missing });
      assert.equal(report.healthy, false);
      assert.ok(report.reason, "no reason is given");
    },
  },
];

function everyKey({ aead, signing = {}, mac = {} }: HarnessKeys): string[] {
  return [...new Set([...(aead ?? []), ...Object.values(signing), ...Object.values(mac)])];
}

function usageOf(algorithm: string): KeyUsage {
  if (algorithm.startsWith("hmac")) return "mac";
  return algorithm === "aes-256-gcm" ? "encryption" : "signing";
}

async function useOnce(
  provider: CheckContext["provider"],
  keyId: string,
  usage: KeyUsage,
): Promise<void> {
  const message = pattern(16);
  if (usage === "encryption") {
    const { ciphertext } = await provider.encrypt({ keyId, plaintext: message });
    assert.ok(bytesEqual(await provider.decrypt({ keyId, ciphertext }), message));
  } else if (usage === "mac") {
    assert.equal((await provider.mac({ keyId, message })).keyId, keyId);
  } else {
    assert.equal((await provider.sign({ keyId, message })).keyId, keyId);
  }
}

import assert from "node:assert/strict";
import { bytesEqual, type MacAlgorithm } from "@lango/crypto-core";
import { assertBytes, assertOwnBytes, flip, pattern } from "../assertions.ts";
import type { Check } from "../harness.ts";
import { MAC_ALGORITHMS } from "../needs.ts";

/** mac and verifyMac, for every algorithm of the contract. */
export const macChecks: readonly Check[] = [
  ...(Object.keys(MAC_ALGORITHMS) as MacAlgorithm[]).flatMap(checksOf),
  {
    name: "mac: results are plain Uint8Arrays over memory of their own, inputs are not changed",
    needs: ["mac"],
    async run({ provider, keys }) {
      for (const [algorithm, keyId] of Object.entries(keys.mac ?? {})) {
        const message = pattern(24);
        const { mac } = await provider.mac({ keyId, message });
        assertOwnBytes(mac, [message], `the ${algorithm} MAC`);
        assertBytes(message, pattern(24), "the message after mac");
      }
    },
  },
];

function checksOf(algorithm: MacAlgorithm): Check[] {
  const bytes = MAC_ALGORITHMS[algorithm];
  return [
    {
      name: `mac ${algorithm}: ${bytes} bytes, the same for the same message only`,
      needs: ["mac", algorithm],
      async run({ provider, keys }) {
        const keyId = keys.mac![algorithm]!;
        const first = await provider.mac({ keyId, message: pattern(100) });
        assert.deepEqual([first.algorithm, first.keyId], [algorithm, keyId]);
        assert.equal(first.mac.length, bytes, "bytes of the MAC");
        const again = await provider.mac({ keyId, message: pattern(100) });
        assertBytes(again.mac, first.mac, "the MAC of the same message");
        const other = await provider.mac({ keyId, message: flip(pattern(100), 99) });
        assert.ok(!bytesEqual(other.mac, first.mac), "another message has the same MAC");
      },
    },
    {
      name: `verifyMac ${algorithm}: true for its MAC, false for any other`,
      needs: ["mac", "verifyMac", algorithm],
      async run({ provider, keys }) {
        const keyId = keys.mac![algorithm]!;
        const message = pattern(100);
        const { mac } = await provider.mac({ keyId, message });
        const check = (changes: { message?: Uint8Array; mac?: Uint8Array }) =>
          provider.verifyMac({ keyId, message, mac, ...changes });
        assert.equal(await check({}), true, "refuses the MAC");
        assert.equal(await check({ message: flip(message, 0) }), false, "accepts another message");
        assert.equal(await check({ mac: flip(mac, 0) }), false, "accepts its first byte altered");
        assert.equal(await check({ mac: flip(mac, bytes - 1) }), false, "accepts its last altered");
        assert.equal(await check({ mac: mac.slice(0, 16) }), false, "accepts 16 bytes of it");
      },
    },
  ];
}

import { assertBytes, flip, pattern, rejectsWith } from "../assertions.ts";
import type { Check, CheckContext, Need } from "../harness.ts";

const needs: readonly Need[] = ["encrypt", "decrypt", "aad"];

/** AAD of encrypt and decrypt: honoured, never ignored. */
export const aadChecks: readonly Check[] = [
  {
    name: "aad: the same AAD opens",
    needs,
    async run(context) {
      await opens(context, pattern(24, 2), pattern(24, 2));
    },
  },
  {
    name: "aad: a wrong AAD is ERR_DECRYPTION_FAILED",
    needs,
    async run(context) {
      const aad = pattern(24, 2);
      await refuses(context, aad, flip(aad, 0), "first byte altered");
      await refuses(context, aad, flip(aad, 23), "last byte altered");
      await refuses(context, aad, Uint8Array.of(...aad, 0), "a zero more");
      await refuses(context, aad, aad.slice(0, 23), "a byte less");
    },
  },
  {
    name: "aad: a missing AAD is ERR_DECRYPTION_FAILED",
    needs,
    run: (context) => refuses(context, pattern(24, 2), undefined, "none"),
  },
  {
    name: "aad: an AAD where there was none is ERR_DECRYPTION_FAILED",
    needs,
    run: (context) => refuses(context, undefined, pattern(24, 2), "one too many"),
  },
  {
    name: "aad: empty and absent are the same",
    needs,
    async run(context) {
      await opens(context, new Uint8Array(), undefined);
      await opens(context, undefined, new Uint8Array());
    },
  },
  {
    name: "aad: the largest AAD opens",
    needs,
    async run(context) {
      const aad = pattern(context.provider.capabilities.maxAadBytes, 2);
      await opens(context, aad, aad);
    },
  },
  {
    name: "aad: one byte more than the largest AAD is ERR_INVALID_ARGUMENT",
    needs,
    async run({ client, keys }) {
      const aad = new Uint8Array(client.capabilities.maxAadBytes + 1);
      const call = () => client.encrypt({ keyId: keys.aead![0], plaintext: pattern(20), aad });
      await rejectsWith("ERR_INVALID_ARGUMENT", call, "encrypt with one byte of AAD too many");
    },
  },
  {
    name: "aad: is not changed",
    needs,
    async run(context) {
      const aad = pattern(40, 2);
      await opens(context, aad, aad);
      assertBytes(aad, pattern(40, 2), "the AAD after the call");
    },
  },
];

type Aad = Uint8Array | undefined;

async function opens({ provider, keys }: CheckContext, sealed: Aad, opened: Aad): Promise<void> {
  const keyId = keys.aead![0];
  const { ciphertext } = await provider.encrypt({ keyId, plaintext: pattern(20), aad: sealed });
  const plaintext = await provider.decrypt({ keyId, ciphertext, aad: opened });
  assertBytes(plaintext, pattern(20), "the plaintext");
}

async function refuses(
  { provider, keys }: CheckContext,
  sealed: Aad,
  opened: Aad,
  what: string,
): Promise<void> {
  const keyId = keys.aead![0];
  const { ciphertext } = await provider.encrypt({ keyId, plaintext: pattern(20), aad: sealed });
  const call = () => provider.decrypt({ keyId, ciphertext, aad: opened });
  await rejectsWith("ERR_DECRYPTION_FAILED", call, `decrypt with another AAD (${what})`);
}

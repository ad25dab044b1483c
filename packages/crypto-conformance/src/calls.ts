import type { CallOptions, Operation } from "@lango/crypto-core";
import { pattern } from "./assertions.ts";
import type { CheckContext, HarnessKeys } from "./harness.ts";
import { absentKey, offers } from "./needs.ts";

/** A call of one operation that succeeds unless something is in its way. */
export interface SampleCall {
  readonly operation: Operation;
  run(options: CallOptions): Promise<unknown>;
}

/** What the calls that open or verify something work on. */
export interface Samples {
  readonly ciphertext: Uint8Array;
  readonly wrappedKey: Uint8Array;
  readonly signature: Uint8Array;
  readonly mac: Uint8Array;
}

/** Stands for samples where no call gets as far as looking at them. */
export const NO_SAMPLES: Samples = {
  ciphertext: pattern(32),
  wrappedKey: pattern(32),
  signature: pattern(32),
  mac: pattern(32),
};

/** Makes something to open and verify, with what the provider offers. */
export async function makeSamples(context: CheckContext): Promise<Samples> {
  const { provider, keys } = context;
  const { aead, signing, mac } = sampleKeys(keys);
  const message = pattern(32);
  const can = (operation: Operation) => isCallable(context, operation);
  return {
    ...NO_SAMPLES,
    ...(can("encrypt") && (await provider.encrypt({ keyId: aead, plaintext: message }))),
    ...(can("wrapKey") && (await provider.wrapKey({ keyId: aead, key: message }))),
    ...(can("sign") && (await provider.sign({ keyId: signing, message }))),
    ...(can("mac") && (await provider.mac({ keyId: mac, message }))),
  };
}

/**
 * One call of every operation that the provider offers and the harness has a key for.
 *
 * @param changing - Whether createKey and rotateKey are among them: they must not succeed then.
 */
export function sampleCalls(
  context: CheckContext,
  { ciphertext, wrappedKey, signature, mac }: Samples,
  changing: boolean,
): SampleCall[] {
  const { provider, keys } = context;
  const { aead, signing, mac: macKey, any } = sampleKeys(keys);
  const message = pattern(32);
  const calls: Record<Operation, (options: CallOptions) => Promise<unknown>> = {
    encrypt: (options) => provider.encrypt({ keyId: aead, plaintext: message, ...options }),
    decrypt: (options) => provider.decrypt({ keyId: aead, ciphertext, ...options }),
    wrapKey: (options) => provider.wrapKey({ keyId: aead, key: message, ...options }),
    unwrapKey: (options) => provider.unwrapKey({ keyId: aead, wrappedKey, ...options }),
    rewrapKey: (options) =>
      provider.rewrapKey({ keyId: aead, toKeyId: aead, wrappedKey, ...options }),
    sign: (options) => provider.sign({ keyId: signing, message, ...options }),
    verify: (options) => provider.verify({ keyId: signing, message, signature, ...options }),
    mac: (options) => provider.mac({ keyId: macKey, message, ...options }),
    verifyMac: (options) => provider.verifyMac({ keyId: macKey, message, mac, ...options }),
    getPublicKey: (options) => provider.getPublicKey({ keyId: signing, ...options }),
    createKey: (options) =>
      provider.createKey({
        algorithm: provider.capabilities.keyAlgorithms[0] ?? "aes-256-gcm",
        usage: "encryption",
        ...options,
      }),
    rotateKey: (options) =>
      provider.rotateKey({ keyId: keys.rotatable ?? keys.missing, ...options }),
    describeKey: (options) => provider.describeKey({ keyId: any, ...options }),
    listKeys: (options) => drain(provider.listKeys(options)),
    random: (options) => provider.random({ bytes: 32, ...options }),
    health: (options) => provider.health({ ...options }),
  };
  return provider.capabilities.operations
    .filter((operation) => isCallable(context, operation))
    .filter((operation) => changing || (operation !== "createKey" && operation !== "rotateKey"))
    .map((operation) => ({ operation, run: calls[operation] }));
}

/** A harness without the key is reported by the checks of the operation itself. */
function isCallable(context: CheckContext, operation: Operation): boolean {
  if (absentKey(context, operation) !== undefined) return false;
  const { any } = sampleKeys(context.keys);
  return (
    offers(context.provider, operation) &&
    (operation !== "describeKey" || any !== context.keys.missing)
  );
}

function sampleKeys(keys: HarnessKeys): Record<"aead" | "signing" | "mac" | "any", string> {
  const { missing } = keys;
  const aead = keys.aead?.[0];
  const signing = Object.values(keys.signing ?? {})[0];
  const mac = Object.values(keys.mac ?? {})[0];
  return {
    aead: aead ?? missing,
    signing: signing ?? missing,
    mac: mac ?? missing,
    any: aead ?? signing ?? mac ?? missing,
  };
}

async function drain(keys: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of keys);
}

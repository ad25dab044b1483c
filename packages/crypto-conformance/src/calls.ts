import type { CallOptions, Operation } from "@lango/crypto-core";
import { pattern } from "./assertions.ts";
import type { CheckContext } from "./harness.ts";

/** A call of one operation that succeeds unless something is in its way. */
export interface SampleCall {
  readonly operation: Operation;
  run(options: CallOptions): Promise<unknown>;
}

/**
 * One call of every operation that the provider offers, with keys of the harness.
 *
 * @param changing - Whether createKey and rotateKey are among them: they must not succeed then.
 */
export async function sampleCalls(
  { provider, keys }: CheckContext,
  changing: boolean,
): Promise<SampleCall[]> {
  const { operations } = provider.capabilities;
  const has = (...all: Operation[]) => all.every((each) => operations.includes(each));
  const aead = keys.aead?.[0] ?? keys.missing;
  const signing = Object.values(keys.signing ?? {})[0] ?? keys.missing;
  const macKey = Object.values(keys.mac ?? {})[0] ?? keys.missing;
  const message = pattern(32);
  const { ciphertext } = has("encrypt")
    ? await provider.encrypt({ keyId: aead, plaintext: message })
    : { ciphertext: message };
  const { wrappedKey } = has("wrapKey")
    ? await provider.wrapKey({ keyId: aead, key: message })
    : { wrappedKey: message };
  const { signature } = has("sign")
    ? await provider.sign({ keyId: signing, message })
    : { signature: message };
  const { mac } = has("mac") ? await provider.mac({ keyId: macKey, message }) : { mac: message };
  const describable = keys.aead?.[0] ?? Object.values({ ...keys.signing, ...keys.mac })[0];
  const calls: Record<Operation, (options: CallOptions) => Promise<unknown>> = {
    encrypt: (options) => provider.encrypt({ keyId: aead, plaintext: message, ...options }),
    decrypt: (options) => provider.decrypt({ keyId: aead, ciphertext, ...options }),
    wrapKey: (options) => provider.wrapKey({ keyId: aead, key: message, ...options }),
    unwrapKey: (options) => provider.unwrapKey({ keyId: aead, wrappedKey, ...options }),
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
    describeKey: (options) =>
      provider.describeKey({ keyId: describable ?? keys.missing, ...options }),
    listKeys: (options) => drain(provider.listKeys(options)),
    random: (options) => provider.random({ bytes: 32, ...options }),
    health: (options) => provider.health({ ...options }),
  };
  return operations
    .filter((operation) => changing || (operation !== "createKey" && operation !== "rotateKey"))
    .map((operation) => ({ operation, run: calls[operation] }));
}

async function drain(keys: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of keys);
}

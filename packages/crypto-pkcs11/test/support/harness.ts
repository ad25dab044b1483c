import { randomUUID } from "node:crypto";
import type { Harness } from "@lango/crypto-conformance";
import type { KeyAlgorithm, KeyUsage, MacAlgorithm, SignatureAlgorithm } from "@lango/crypto-core";
import type { Pkcs11Provider } from "@lango/crypto-pkcs11";

const KEY_OF: Record<SignatureAlgorithm, KeyAlgorithm> = {
  "ecdsa-p256-sha256": "ecdsa-p256",
  "ecdsa-p384-sha384": "ecdsa-p384",
  "ecdsa-secp256k1-sha256": "secp256k1",
  ed25519: "ed25519",
  "rsa-pss-sha256": "rsa-2048",
  "rsa-pss-sha384": "rsa-2048",
  "rsa-pss-sha512": "rsa-2048",
  "rsa-pkcs1-sha256": "rsa-2048",
  "rsa-pkcs1-sha384": "rsa-2048",
  "rsa-pkcs1-sha512": "rsa-2048",
};

/** Makes a key for everything that the token offers. */
export async function makeHarness(
  provider: Pkcs11Provider,
  encryption: KeyAlgorithm = "aes-256-gcm",
): Promise<Harness> {
  const { capabilities } = provider;
  const make = async (algorithm: KeyAlgorithm, usage: KeyUsage): Promise<string> =>
    (await provider.createKey!({ algorithm, usage })).keyId;
  const made = new Map<KeyAlgorithm, string>();
  const signing: Partial<Record<SignatureAlgorithm, string>> = {};
  for (const scheme of capabilities.signatureAlgorithms) {
    const algorithm = KEY_OF[scheme];
    const keyId = made.get(algorithm) ?? (await make(algorithm, "signing"));
    made.set(algorithm, keyId);
    signing[scheme] = keyId;
  }
  const mac: Partial<Record<MacAlgorithm, string>> = {};
  for (const algorithm of capabilities.macAlgorithms) mac[algorithm] = await make(algorithm, "mac");
  const { label, serial } = await provider.describeToken();
  return {
    provider,
    keys: {
      missing: `token=${encodeURIComponent(label)};serial=${serial};object=no-such-key`,
      ...(capabilities.operations.includes("encrypt") && {
        aead: [await make(encryption, "encryption"), await make(encryption, "encryption")],
      }),
      signing,
      mac,
      disabled: { impossible: "PKCS#11 has no switch that disables a key" },
      fresh: () => `object=${randomUUID()}`,
    },
  };
}

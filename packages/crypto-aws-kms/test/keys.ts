import { randomUUID } from "node:crypto";
import { DisableKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import type { HarnessKeys } from "@lango/crypto-conformance";
import type { KeyAlgorithm, KeyUsage } from "@lango/crypto-core";
import { createAwsKmsProvider } from "../src/index.ts";
import { REGION, type Settings } from "./servers.ts";

/** Makes one key of each kind on a server. */
export async function makeKeys(settings: Settings): Promise<HarnessKeys> {
  const provider = createAwsKmsProvider(settings);
  const make = async (algorithm: KeyAlgorithm, usage: KeyUsage) =>
    (await provider.createKey({ algorithm, usage })).keyId;
  const aead = async () => await make("aes-256-gcm", "encryption");
  const [first, second, rotatable, disabled] = [
    await aead(),
    await aead(),
    await aead(),
    await aead(),
  ];
  await disable(settings, disabled);
  const rsa = await make("rsa-2048", "signing");
  const keys: HarnessKeys = {
    missing: `arn:aws:kms:${REGION}:${first.split(":")[4]}:key/${randomUUID()}`,
    aead: [first, second],
    rotatable,
    disabled,
    signing: {
      "ecdsa-p256-sha256": await make("ecdsa-p256", "signing"),
      "ecdsa-p384-sha384": await make("ecdsa-p384", "signing"),
      "ecdsa-secp256k1-sha256": await make("secp256k1", "signing"),
      "rsa-pss-sha256": rsa,
      "rsa-pss-sha384": rsa,
      "rsa-pss-sha512": rsa,
      "rsa-pkcs1-sha256": rsa,
      "rsa-pkcs1-sha384": rsa,
      "rsa-pkcs1-sha512": rsa,
    },
    mac: {
      "hmac-sha256": await make("hmac-sha256", "mac"),
      "hmac-sha384": await make("hmac-sha384", "mac"),
      "hmac-sha512": await make("hmac-sha512", "mac"),
    },
    fresh: () => `lango/${randomUUID()}`,
  };
  await provider.close();
  return keys;
}

async function disable(settings: Settings, keyId: string): Promise<void> {
  const client = new KMSClient(settings);
  await client.send(new DisableKeyCommand({ KeyId: keyId.split("/")[1] }));
  client.destroy();
}

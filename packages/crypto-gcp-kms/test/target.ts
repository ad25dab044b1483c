import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { KeyManagementServiceClient } from "@google-cloud/kms";
import type { Harness } from "@lango/crypto-conformance";
import { googleAuthLibrary, grpc } from "google-gax";
import { createGcpKmsProvider, type GcpKmsTransport } from "../src/index.ts";

/** A server and a key ring on it. */
export interface Target {
  /** `http://127.0.0.1:PORT` of a server without TLS; absent: the real service, with ADC. */
  readonly endpoint?: string;
  readonly keyRing: string;
}

/**
 * Reads `LANGO_TEST_GCP_KMS`: `grpc://127.0.0.1:9090/projects/p/locations/l/keyRings/r` for a server without TLS,
 * `gcp:projects/p/locations/l/keyRings/r` for the real service.
 */
export const parseTarget = (text: string): Target => {
  const [, host, emulated] = /^grpc:\/\/([^/]+)\/(projects\/.+)$/.exec(text) ?? [];
  if (host !== undefined) return { endpoint: `http://${host}`, keyRing: emulated! };
  const real = /^gcp:(projects\/.+)$/.exec(text)?.[1];
  if (real === undefined) throw new Error(`LANGO_TEST_GCP_KMS is ${text}, which names no server`);
  return { keyRing: real };
};

/** A client of the SDK itself, for what the provider does not do: schemes of RSA keys, disabling. */
const clientOf = ({ endpoint }: Target): KeyManagementServiceClient => {
  if (endpoint === undefined) return new KeyManagementServiceClient();
  const { hostname, port } = new URL(endpoint);
  return new KeyManagementServiceClient({
    apiEndpoint: hostname,
    port: Number(port),
    sslCreds: grpc.credentials.createInsecure(),
    authClient: new googleAuthLibrary.PassThroughClient(),
  });
};

/** Makes keys through the API, under names that no run has used, and a provider for them. */
export const createHarness = async (
  target: Target,
  options: { readonly transport?: GcpKmsTransport; readonly endpoint?: string } = {},
): Promise<Harness> => {
  const { keyRing } = target;
  const client = clientOf(target);
  const run = randomUUID().slice(0, 8);
  const add = async (
    name: string,
    purpose: "ENCRYPT_DECRYPT" | "ASYMMETRIC_SIGN" | "MAC",
    algorithm: string,
    protectionLevel: "SOFTWARE" | "HSM" = "SOFTWARE",
  ): Promise<string> => {
    const [key] = await client.createCryptoKey({
      parent: keyRing,
      cryptoKeyId: `lango-${run}-${name}`,
      cryptoKey: {
        purpose,
        versionTemplate: { algorithm: algorithm as "HMAC_SHA256", protectionLevel },
      },
    });
    for (;;) {
      const [{ state }] = await client.getCryptoKeyVersion({
        name: `${key.name}/cryptoKeyVersions/1`,
      });
      if (state === "ENABLED") return key.name!;
      await sleep(500);
    }
  };
  const aead = (name: string) => add(name, "ENCRYPT_DECRYPT", "GOOGLE_SYMMETRIC_ENCRYPTION");
  const signing = (algorithm: string, level?: "HSM") =>
    add(algorithm.toLowerCase(), "ASYMMETRIC_SIGN", algorithm, level);
  const mac = (algorithm: string) => add(algorithm.toLowerCase(), "MAC", algorithm);
  try {
    const disabled = await aead("disabled");
    await client.updateCryptoKeyVersion({
      cryptoKeyVersion: { name: `${disabled}/cryptoKeyVersions/1`, state: "DISABLED" },
      updateMask: { paths: ["state"] },
    });
    const keys = {
      missing: `${keyRing}/cryptoKeys/lango-${run}-missing`,
      aead: [await aead("data"), await aead("other")] as [string, string],
      signing: {
        "ecdsa-p256-sha256": await signing("EC_SIGN_P256_SHA256"),
        "ecdsa-p384-sha384": await signing("EC_SIGN_P384_SHA384"),
        "ecdsa-secp256k1-sha256": await signing("EC_SIGN_SECP256K1_SHA256", "HSM"),
        ed25519: await signing("EC_SIGN_ED25519"),
        "rsa-pss-sha256": await signing("RSA_SIGN_PSS_2048_SHA256"),
        "rsa-pss-sha512": await signing("RSA_SIGN_PSS_4096_SHA512"),
        "rsa-pkcs1-sha256": await signing("RSA_SIGN_PKCS1_3072_SHA256"),
        "rsa-pkcs1-sha512": await signing("RSA_SIGN_PKCS1_4096_SHA512"),
      },
      mac: {
        "hmac-sha256": await mac("HMAC_SHA256"),
        "hmac-sha384": await mac("HMAC_SHA384"),
        "hmac-sha512": await mac("HMAC_SHA512"),
      },
      disabled,
      rotatable: await aead("rotatable"),
      fresh: () => `lango-${run}-${randomUUID()}`,
    };
    const endpoint = options.endpoint ?? target.endpoint;
    return {
      provider: createGcpKmsProvider({
        keyRing,
        keyId: keys.aead[0],
        ...(endpoint !== undefined && { endpoint }),
        ...(options.transport !== undefined && { transport: options.transport }),
      }),
      keys,
      // wrapKey is the service's encrypt.
      separateWrap: false,
      // The real service bills each call.
      everyByte: target.endpoint !== undefined,
    };
  } finally {
    await client.close();
  }
};

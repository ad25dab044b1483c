import { randomUUID } from "node:crypto";
import { ClientSecretCredential } from "@azure/identity";
import type { Harness } from "@lango/crypto-conformance";
import {
  type CryptoProvider,
  isCryptoError,
  type KeyAlgorithm,
  type KeyUsage,
} from "@lango/crypto-core";
import { type AzureKvProviderOptions, createAzureKvProvider } from "../src/index.ts";
import {
  CLIENT,
  type Received,
  type StandIn,
  type StandInOptions,
  startStandIn,
} from "./stand-in/server.ts";
import { type Certificate, makeCertificate } from "./stand-in/tls.ts";

let certificate: Certificate | undefined;

/** The stand-in in this process, with a certificate that is made once. */
export async function standInHere(options: Partial<StandInOptions> = {}): Promise<StandIn> {
  certificate ??= makeCertificate();
  return await startStandIn({ certificate, ...options });
}

export const pipeline = (): { tlsOptions: { ca: string } } => ({
  tlsOptions: { ca: certificate!.cert },
});

/** The credential that the stand-in knows: the real flow of @azure/identity, against its token endpoint. */
export const credentialOf = ({ url }: StandIn, secret = CLIENT.secret): ClientSecretCredential =>
  new ClientSecretCredential(CLIENT.tenant, CLIENT.id, secret, {
    authorityHost: url,
    disableInstanceDiscovery: true,
    retryOptions: { maxRetries: 0 },
    ...pipeline(),
  });

export const providerOf = (
  standIn: StandIn,
  options: Partial<AzureKvProviderOptions> = {},
): CryptoProvider =>
  createAzureKvProvider({
    vaultUrl: standIn.url,
    allowLoopback: true,
    credential: credentialOf(standIn),
    pipeline: pipeline(),
    ...options,
  });

const TEST_KEYS = {
  p256: ["ecdsa-p256", "signing"],
  p384: ["ecdsa-p384", "signing"],
  k1: ["secp256k1", "signing"],
  rsa: ["rsa-2048", "signing"],
  data: ["rsa-2048", "encryption"],
} as const;

export async function createKeys(
  provider: CryptoProvider,
  names: readonly (keyof typeof TEST_KEYS)[],
): Promise<void> {
  for (const keyId of names) {
    const [algorithm, usage] = TEST_KEYS[keyId];
    await provider.createKey!({ keyId, algorithm, usage });
  }
}

/** What the stand-in gets while `run` runs. */
export async function seen(
  standIn: StandIn,
  run: () => Promise<unknown>,
): Promise<readonly Received[]> {
  const before = standIn.requests.length;
  await run();
  return standIn.requests.slice(before);
}

/** The code that a call fails with, `resolved` if it does not fail, and what it throws if that is none of our errors. */
export const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => "resolved",
    (error: unknown) => (isCryptoError(error) ? error.code : error),
  );

/** Makes the keys of the suite through the provider itself. `disable` does what the contract has no operation for. */
export async function harnessOf(
  provider: CryptoProvider,
  vaultUrl: string,
  disable: (name: string) => Promise<unknown>,
  name: () => string = () => `lango-test-${randomUUID()}`,
): Promise<Harness> {
  const make = async (algorithm: KeyAlgorithm, usage: KeyUsage, keyId = name()) =>
    (await provider.createKey!({ keyId, algorithm, usage })).keyId;
  const [aead, other, rotatable] = [
    await make("rsa-2048", "encryption"),
    await make("rsa-2048", "encryption"),
    await make("rsa-2048", "encryption"),
  ];
  const rsa = await make("rsa-2048", "signing");
  const disabled = name();
  await make("ecdsa-p256", "signing", disabled);
  await disable(disabled);
  return {
    provider,
    keys: {
      missing: `${vaultUrl}/keys/${name()}`,
      aead: [aead, other],
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
      disabled: `${vaultUrl}/keys/${disabled}`,
      rotatable,
      fresh: name,
    },
    // RSA private operations and calls that a vault bills.
    everyByte: false,
    parallelCalls: 20,
  };
}

import {
  type CryptoProvider,
  type HealthRequest,
  isCryptoError,
  type KeyAlgorithm,
  OPERATIONS,
  type ProviderCapabilities,
  type ProviderModule,
  type SignatureAlgorithm,
} from "@lango/crypto-core";
import { KEY_SPECS, MACS, SCHEMES } from "./algorithms.ts";
import { ownBytes, present } from "./answers.ts";
import { type ClientSettings, createLazyClient, type KmsClient } from "./client.ts";
import { type AwsKmsConfig, configSchema } from "./config.ts";
import { mapError } from "./errors.ts";
import { createKeys, type Keys } from "./keys.ts";
import { createMacs } from "./mac.ts";
import { createManaging } from "./managing.ts";
import { createSealing, MAX_KMS_BYTES, MAX_PLAINTEXT_BYTES } from "./sealing.ts";
import { createSession, type Session } from "./session.ts";
import { createSigning } from "./signing.ts";

interface CommonOptions {
  /** Keys that `health` looks at when it is asked for none. Default: none; then it lists one key of the account. */
  readonly healthKeyIds?: readonly string[] | undefined;
  /** Milliseconds for which the answer of DescribeKey is remembered: what an alias stands for, and the version. Default: 60,000; 0: never. */
  readonly keyTtlMs?: number | undefined;
}

/** Either a client of the SDK or the settings of one. */
export type AwsKmsOptions =
  | (CommonOptions & {
      /** Not closed together with the provider. Turn its retries off (`maxAttempts: 1`). */
      readonly client: KmsClient;
    })
  | (CommonOptions & ClientSettings & { readonly client?: undefined });

/** A provider of AWS KMS: it has every operation. */
export type AwsKmsProvider = Required<CryptoProvider>;

const KEY_TTL_MS = 60_000;

/**
 * Makes a provider that uses keys of AWS KMS. Nothing is loaded or connected before its first use.
 *
 * It makes one attempt per call and no deadline: put `createResilientProvider` of `@lango/crypto-core` around it.
 */
export function createAwsKmsProvider(options: AwsKmsOptions = {}): AwsKmsProvider {
  const client = createLazyClient(options.client ?? options);
  const session = createSession(client, (keyId) => keys.forget(keyId));
  const keys: Keys = createKeys(session, options.keyTtlMs ?? KEY_TTL_MS);
  return {
    name: "aws-kms",
    capabilities: CAPABILITIES,
    ...createSealing(session, keys),
    ...createSigning(session, keys),
    ...createMacs(session, keys),
    ...createManaging(session, keys),
    random: (request) =>
      session.run("random", request, async () => {
        const input = { NumberOfBytes: request.bytes };
        const { Plaintext } = await session.send("GenerateRandom", input, request.signal);
        return ownBytes(
          present(Plaintext?.length === request.bytes ? Plaintext : undefined, "random", "bytes"),
        );
      }),
    health: (request) =>
      session.run("health", request, () =>
        health(session, keys, request, options.healthKeyIds ?? []),
      ),
    close: () => session.close(),
  };
}

/** The door through which `loadProvider` finds this package. */
export const provider: ProviderModule<AwsKmsConfig> = {
  name: "aws-kms",
  configSchema,
  create: ({ keyId, encryptKeyId, signKeyId, ...settings }) =>
    createAwsKmsProvider({
      ...settings,
      healthKeyIds: [...new Set([keyId, encryptKeyId, signKeyId])].filter((id) => id !== undefined),
    }),
};

const CAPABILITIES: ProviderCapabilities = {
  operations: OPERATIONS,
  keyAlgorithms: (Object.keys(KEY_SPECS) as KeyAlgorithm[]).filter((each) => each !== "ed25519"),
  signatureAlgorithms: Object.keys(SCHEMES) as SignatureAlgorithm[],
  macAlgorithms: Object.keys(MACS) as (keyof typeof MACS)[],
  aad: true,
  wrapAad: true,
  maxPlaintextBytes: MAX_PLAINTEXT_BYTES,
  // It is hashed here, so this is no limit of the service.
  maxAadBytes: 2 ** 16,
  maxWrapBytes: MAX_KMS_BYTES,
  signDigest: true,
  protection: "hsm",
  remote: true,
};

/** Metadata of keys; where none are known, one line of the account's list. */
async function health(
  session: Session,
  keys: Keys,
  { keyId, signal }: HealthRequest,
  configured: readonly string[],
) {
  const start = performance.now();
  const keyIds = keyId === undefined ? configured : [keyId];
  let reason: string | undefined;
  try {
    if (keyIds.length === 0) await session.send("ListKeys", { Limit: 1 }, signal);
    for (const each of keyIds) {
      const { description } = await keys.describe(each, signal);
      if (description.state !== "enabled")
        reason ??= `Key ${description.keyId} is ${description.state}`;
    }
  } catch (error) {
    reason = (isCryptoError(error) ? error : mapError(error, "health", keyId)).message;
  }
  const times = { checkedAt: Date.now(), latencyMs: performance.now() - start };
  return reason === undefined ? { healthy: true, ...times } : { healthy: false, reason, ...times };
}

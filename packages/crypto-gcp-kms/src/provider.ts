import type {
  Bytes,
  CryptoProvider,
  MacAlgorithm,
  Operation,
  ProviderCapabilities,
  ProviderModule,
  SignatureAlgorithm,
} from "@lango/crypto-core";
import { ALGORITHMS, NEW_KEYS } from "./algorithms.ts";
import { verifiedBytes, withIntegrity } from "./checksum.ts";
import type { GcpKmsClient } from "./client.ts";
import { checkSettings, type GcpKmsConfig, parseConfig } from "./config.ts";
import { type ConnectionSettings, connect, useClient } from "./connection.ts";
import { fail } from "./errors.ts";
import { health } from "./health.ts";
import { createKeys, type NewKeyProtection } from "./keys.ts";
import { parseKeyName } from "./names.ts";
import { createSealing } from "./sealing.ts";
import { createService, type Scope, type Service } from "./service.ts";
import { createSigning } from "./signing.ts";
import { createVersions } from "./versions.ts";

/** The settings of {@link GcpKmsConfig} and what can be given in code alone. */
export interface GcpKmsProviderOptions extends GcpKmsConfig {
  /**
   * A `KeyManagementServiceClient` of `@google-cloud/kms`, in place of `endpoint`, `transport` and `authClient`. The
   * caller closes it.
   */
  readonly client?: GcpKmsClient | undefined;
  /** Credentials in place of the Application Default Credentials; an `AuthClient` of google-auth-library. */
  readonly authClient?: ConnectionSettings["authClient"];
  /** `projects/P/locations/L/keyRings/R` of `createKey`, `listKeys` and short key names. Default: that of the first key id. */
  readonly keyRing?: string | undefined;
  /** Where new keys live. Default: `software`; secp256k1 keys are always in an HSM. */
  readonly newKeyProtection?: NewKeyProtection | undefined;
  /** Milliseconds for which the newest version of a signing or MAC key is remembered. Default: 60,000; 0: never. */
  readonly versionCacheMs?: number | undefined;
}

/**
 * Makes a provider for keys in Google Cloud KMS.
 *
 * It makes no retries but two: of a response whose checksum does not fit, at most three times, and once after renewed
 * credentials. Put `createResilientProvider` of `@lango/crypto-core` around it. The SDK is loaded at the first call.
 *
 * @throws `CryptoError` `ERR_CONFIG` for settings that do not fit.
 */
export function createGcpKmsProvider(options: GcpKmsProviderOptions = {}): CryptoProvider {
  checkSettings(options);
  const { client, keyId, encryptKeyId, signKeyId, versionCacheMs = 60_000 } = options;
  const configured = [keyId, encryptKeyId, signKeyId].filter((id) => id !== undefined);
  const ring = options.keyRing ?? parseKeyName(configured[0] ?? "")?.ring;
  const places = new Set(configured.flatMap((id) => parseKeyName(id)?.location ?? []));
  if (ring !== undefined) places.add(locationOf(ring));
  const service = createService({
    connection: client === undefined ? connect(options) : useClient(client),
    ring,
    places,
  });
  const versions = createVersions(service, versionCacheMs);
  const sealing = createSealing(service);
  const { listKeys, createKey, ...keys } = createKeys({
    service,
    versions,
    ring,
    protection: options.newKeyProtection ?? "software",
  });

  return {
    name: "gcp-kms",
    capabilities: capabilitiesOf(ring !== undefined),
    async encrypt(request) {
      const { sealed, ...result } = await sealing.seal("encrypt", request, request.plaintext);
      return { ciphertext: sealed, ...result };
    },
    decrypt: (request) => sealing.open("decrypt", request, request.ciphertext),
    async wrapKey(request) {
      const { sealed, ...result } = await sealing.seal("wrapKey", request, request.key);
      return { wrappedKey: sealed, ...result };
    },
    unwrapKey: (request) => sealing.open("unwrapKey", request, request.wrappedKey),
    ...createSigning(service, versions),
    ...keys,
    ...(ring !== undefined && {
      createKey,
      listKeys,
      random: (request) =>
        service.run("random", request, (scope) =>
          random(service, locationOf(ring), request.bytes, scope),
        ),
    }),
    health: (request) =>
      service.run("health", request, (scope) =>
        health(service, request.keyId ?? configured[0], ring, scope),
      ),
    close: () => service.close(),
  };
}

/** For `loadProvider`: the provider `gcp-kms`. It reads no environment; the SDK finds credentials by Google's own rules. */
export const provider: ProviderModule<GcpKmsConfig> = {
  name: "gcp-kms",
  configSchema: { parse: parseConfig },
  create: (config) => createGcpKmsProvider(config),
};

const facts = Object.values(ALGORITHMS);
const unique = <T>(values: readonly (T | undefined)[]): T[] => [
  ...new Set(values.filter((value) => value !== undefined)),
];
const WITHOUT_RING: readonly Operation[] = [
  ...(["encrypt", "decrypt", "wrapKey", "unwrapKey", "sign", "verify", "mac"] as const),
  ...(["verifyMac", "getPublicKey", "rotateKey", "describeKey", "health"] as const),
];

const capabilitiesOf = (hasRing: boolean): ProviderCapabilities => ({
  operations: hasRing ? [...WITHOUT_RING, "createKey", "listKeys", "random"] : WITHOUT_RING,
  keyAlgorithms: hasRing ? (Object.keys(NEW_KEYS) as (keyof typeof NEW_KEYS)[]) : [],
  signatureAlgorithms: unique<SignatureAlgorithm>(facts.map(({ signature }) => signature)),
  macAlgorithms: unique<MacAlgorithm>(facts.map(({ mac }) => mac?.algorithm)),
  aad: true,
  wrapAad: true,
  // HSM keys take 8 KiB of plaintext and AAD together, others 64 KiB of each: this fits every key.
  maxPlaintextBytes: 4096,
  maxAadBytes: 4096,
  maxWrapBytes: 4096,
  signDigest: true,
  protection: "remote",
  remote: true,
});

const MIN_RANDOM_BYTES = 8;

const random = async (
  service: Service,
  location: string,
  bytes: number,
  scope: Scope,
): Promise<Bytes> => {
  const lengthBytes = Math.max(MIN_RANDOM_BYTES, bytes);
  const data = await withIntegrity(async () => {
    const response = await service.call(
      "generateRandomBytes",
      { location, lengthBytes, protectionLevel: "HSM" },
      scope,
    );
    return verifiedBytes("random bytes", response.data, response.dataCrc32c);
  });
  if (data.length !== lengthBytes) {
    throw fail(
      "ERR_INTEGRITY",
      `${lengthBytes} random bytes were asked, ${data.length} came`,
      scope,
    );
  }
  return data.length === bytes ? data : data.slice(0, bytes);
};

const locationOf = (ring: string): string => ring.slice(0, ring.indexOf("/keyRings/"));

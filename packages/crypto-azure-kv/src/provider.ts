import type { CryptoProvider, ProviderCapabilities, ProviderModule } from "@lango/crypto-core";
import {
  type AzureKeyAlgorithm,
  type AzureSignatureAlgorithm,
  KEY_ALGORITHMS,
  oaepLimit,
  SCHEMES,
} from "./algorithms.ts";
import { createCaller } from "./caller.ts";
import { PURPOSE_BYTES } from "./ciphertext.ts";
import type { AzureCredential, AzureKvClient } from "./client.ts";
import { type AzureKvConfig, configSchema } from "./config.ts";
import { createEncryption } from "./encryption.ts";
import { createKeyManagement } from "./management.ts";
import { createRandom } from "./random.ts";
import type { AzurePipelineOptions } from "./sdk.ts";
import { createSigning } from "./signing.ts";
import { parseVaultUrl, type Vault } from "./vault-url.ts";

/** The settings of {@link AzureKvConfig}, and what only a program can give. */
export interface AzureKvProviderOptions extends AzureKvConfig {
  /** Default: `DefaultAzureCredential` of @azure/identity, loaded at the first call. */
  readonly credential?: AzureCredential;
  /** In the place of clients that are made here. `credential` and `pipeline` are not used then. */
  readonly client?: AzureKvClient;
  /** Settings of the SDK's HTTP pipeline. Retries stay off. */
  readonly pipeline?: AzurePipelineOptions;
  /**
   * Takes an `https://` URL on 127.0.0.1, ::1 or localhost, for an emulator: tokens then go to whatever resource that server
   * asks for. Default: false. No setting of a configuration file can do this.
   */
  readonly allowLoopback?: boolean;
  /** Says that a vault on the loopback address is a Managed HSM. Elsewhere the host says it. */
  readonly managedHsm?: boolean;
  /** Whether `createKey` makes keys in hardware (`RSA-HSM`, `EC-HSM`). Default: only in a Managed HSM, which has no others. */
  readonly hsmKeys?: boolean;
  /**
   * Whether `verify` of a `message` is computed here, with the public key that the service gave. Default: false: every
   * operation is the service's, which checks `enabled` and `key_ops` each time.
   */
  readonly localPublicKeyOperations?: boolean;
  /** Milliseconds that the current version and the public key of a key are remembered. Default: 60,000; 0: never. */
  readonly keyCacheMs?: number;
}

/**
 * Makes a provider for the keys of one vault or Managed HSM. It makes no connection before the first call.
 *
 * It retries nothing, except once after a 401 with a fresh token: put `createResilientProvider` around it.
 *
 * @throws {@link CryptoError} `ERR_CONFIG` for a `vaultUrl` that is none.
 */
export function createAzureKvProvider(options: AzureKvProviderOptions): CryptoProvider {
  const vault = vaultOf(options);
  const caller = createCaller(vault, options);
  const { algorithm = "RSA-OAEP-256", localPublicKeyOperations = false } = options;
  const { hsmKeys = vault.managedHsm } = options;
  const probe = options.keyId ?? options.encryptKeyId ?? options.signKeyId;
  return {
    name: "azure-kv",
    capabilities: capabilitiesOf(vault, algorithm === "RSA-OAEP-256"),
    ...createEncryption(caller, algorithm),
    ...createSigning(caller, localPublicKeyOperations),
    ...createKeyManagement(caller, { hsmKeys, probe }),
    ...(vault.managedHsm && createRandom(caller)),
    close: caller.close,
  };
}

/** For `loadProvider`. */
export const provider: ProviderModule<AzureKvConfig> = {
  name: "azure-kv",
  configSchema,
  // The SDK's credentials read the environment themselves; there is no other way to use its chain.
  create: (config) => createAzureKvProvider(config),
};

function vaultOf({ vaultUrl, allowLoopback, managedHsm }: AzureKvProviderOptions): Vault {
  const vault = parseVaultUrl(vaultUrl, allowLoopback);
  return vault.loopback ? { ...vault, managedHsm: managedHsm === true } : vault;
}

function capabilitiesOf({ managedHsm }: Vault, encrypts: boolean): ProviderCapabilities {
  return {
    operations: [
      ...(encrypts ? (["encrypt", "wrapKey"] as const) : []),
      "decrypt",
      "unwrapKey",
      "sign",
      "verify",
      "getPublicKey",
      "createKey",
      "rotateKey",
      "describeKey",
      "listKeys",
      ...(managedHsm ? (["random"] as const) : []),
      "health",
    ],
    keyAlgorithms: Object.keys(KEY_ALGORITHMS) as AzureKeyAlgorithm[],
    signatureAlgorithms: Object.keys(SCHEMES) as AzureSignatureAlgorithm[],
    macAlgorithms: [],
    // RSA-OAEP has a label, but the service takes none.
    aad: false,
    wrapAad: false,
    // What the smallest key takes, so that it is the same for all of them.
    maxPlaintextBytes: oaepLimit(KEY_ALGORITHMS["rsa-2048"]) - PURPOSE_BYTES,
    maxAadBytes: 0,
    maxWrapBytes: oaepLimit(KEY_ALGORITHMS["rsa-2048"]) - PURPOSE_BYTES,
    signDigest: true,
    protection: managedHsm ? "hsm" : "remote",
    remote: true,
  };
}

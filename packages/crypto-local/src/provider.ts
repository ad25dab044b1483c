import { createHmac, randomUUID } from "node:crypto";
import {
  type Bytes,
  bytesEqual,
  type CryptoProvider,
  decryptionFailed,
  isCryptoError,
  type KeyDescription,
  type KeyRequest,
  type MacAlgorithm,
  type MacRequest,
  type MacResult,
  type Operation,
  type ProviderCapabilities,
  randomBytesFresh,
  type SignatureAlgorithm,
  toPlain,
  zero,
} from "@lango/crypto-core";
import { ALGORITHMS, isLocalAlgorithm, type LocalKeyAlgorithm } from "./algorithms.ts";
import { createKeyLookup, currentVersion, fail, type KeyInUse } from "./key-lookup.ts";
import type { KeyRecord, KeySource } from "./key-source.ts";
import { generateKeyMaterial } from "./material.ts";
import { createMemoryKeySource, type LocalKey } from "./memory-key-source.ts";
import { open, type Purpose, seal, sealedVersion } from "./sealing.ts";
import { publicKeyOf, sign, verify } from "./signing.ts";

interface KeysInMemory {
  /** Kept in memory; see {@link createMemoryKeySource}. Default: none; `createKey` makes the first. */
  readonly keys?: readonly LocalKey[];
  readonly source?: undefined;
}

/** Either the keys themselves or where to find them. */
export type LocalProviderOptions =
  | KeysInMemory
  | {
      /** Closed together with the provider. */
      readonly source: KeySource;
      readonly keys?: undefined;
    };

/** It has every operation, but for `createKey` and `rotateKey` where its source has them not. */
export type LocalProvider = Required<Omit<CryptoProvider, "createKey" | "rotateKey">> &
  Pick<CryptoProvider, "createKey" | "rotateKey">;

type SealRequest = KeyRequest & { readonly aad?: Uint8Array | undefined };
type Versioned = { readonly keyVersion?: string | undefined };

/**
 * Makes a provider that computes in this process, with keys held as Node `KeyObject`s.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for keys that do not fit; see {@link createMemoryKeySource}.
 */
export function createLocalProvider(options?: KeysInMemory): Required<CryptoProvider>;
export function createLocalProvider(options: LocalProviderOptions): LocalProvider;
export function createLocalProvider(options: LocalProviderOptions = {}): LocalProvider {
  const source = options.source ?? createMemoryKeySource(options.keys ?? []);
  const lookup = createKeyLookup(source);

  const sealWith = async (
    purpose: Purpose,
    operation: Operation,
    request: SealRequest,
    plaintext: Uint8Array,
  ): Promise<{ sealed: Bytes } & Pick<KeyInUse, "label">> => {
    const { key, version, label } = await lookup.use("encryption", operation, request);
    return { sealed: seal(purpose, key, version.version, plaintext, request.aad), label };
  };

  const openWith = async (
    purpose: Purpose,
    operation: Operation,
    { keyId, signal, aad }: SealRequest,
    sealed: Uint8Array,
  ): Promise<Bytes> => {
    const { key } = await lookup.use("encryption", operation, { keyId, signal }, (record) => {
      const number = sealedVersion(purpose, sealed);
      const version = record.versions.find((each) => each.version === number);
      if (!version) throw decryptionFailed("It names no version of the key");
      return version;
    });
    return open(purpose, key, sealed, aad);
  };

  const macWith = async (
    operation: Operation,
    request: MacRequest & Versioned,
  ): Promise<MacResult> => {
    const { key, facts, label } = await lookup.use("mac", operation, request);
    const { algorithm, hash } = facts.mac!;
    const mac = toPlain(createHmac(hash, key).update(request.message).digest());
    return { mac, algorithm, ...label };
  };

  const signingKey = async (
    operation: Operation,
    request: KeyRequest & Versioned & { readonly algorithm?: SignatureAlgorithm | undefined },
  ): Promise<KeyInUse> => {
    const found = await lookup.use("signing", operation, request);
    const { record, facts } = found;
    if (request.algorithm === undefined || request.algorithm === facts.signature) return found;
    const message = `Key ${record.id} signs with ${facts.signature}, not with ${request.algorithm}`;
    throw fail("ERR_UNSUPPORTED", message, operation, record.id);
  };

  return {
    name: "local",
    capabilities: capabilitiesOf(source),

    async encrypt(request) {
      const { sealed, label } = await sealWith("encrypt", "encrypt", request, request.plaintext);
      return { ciphertext: sealed, ...label };
    },
    decrypt: (request) => openWith("encrypt", "decrypt", request, request.ciphertext),
    async wrapKey(request) {
      const { sealed, label } = await sealWith("wrap", "wrapKey", request, request.key);
      return { wrappedKey: sealed, ...label };
    },
    unwrapKey: (request) => openWith("wrap", "unwrapKey", request, request.wrappedKey),
    async rewrapKey({ toKeyId, ...request }) {
      const key = await openWith("wrap", "rewrapKey", request, request.wrappedKey);
      try {
        const { aad, signal } = request;
        const to = { keyId: toKeyId, aad, signal };
        const { sealed, label } = await sealWith("wrap", "rewrapKey", to, key);
        return { wrappedKey: sealed, ...label };
      } finally {
        zero(key);
      }
    },

    async sign(request) {
      const { record, facts, key, label } = await signingKey("sign", request);
      const signature = await sign(record.algorithm, key, request);
      lookup.check("sign", request);
      return { signature, algorithm: facts.signature!, ...label };
    },
    async verify(request) {
      const { record, key } = await signingKey("verify", request);
      return verify(record.algorithm, key, request, request.signature);
    },
    mac: (request) => macWith("mac", request),
    verifyMac: async (request) =>
      bytesEqual((await macWith("verifyMac", request)).mac, request.mac),
    async getPublicKey(request) {
      const { record, key, label } = await lookup.use("signing", "getPublicKey", request);
      return { publicKey: publicKeyOf(key), algorithm: record.algorithm, ...label };
    },

    ...(source.create && {
      async createKey(request) {
        lookup.check("createKey", request);
        const { algorithm, usage, keyId: id = randomUUID() } = request;
        if (!isLocalAlgorithm(algorithm)) {
          throw fail("ERR_UNSUPPORTED", `No local keys are ${algorithm}`, "createKey", id);
        }
        if (usage !== ALGORITHMS[algorithm].usage) {
          const message = `Keys of ${algorithm} are for ${ALGORITHMS[algorithm].usage}, not ${usage}`;
          throw fail("ERR_INVALID_ARGUMENT", message, "createKey", id);
        }
        return withNewMaterial(algorithm, async (material) =>
          source.create!({ id, algorithm, material }),
        );
      },
    }),
    ...(source.rotate && {
      async rotateKey(request) {
        const { id, algorithm } = await lookup.find("rotateKey", request);
        return withNewMaterial(algorithm, async (material) => source.rotate!(id, material));
      },
    }),
    describeKey: async (request) => describe(await lookup.find("describeKey", request)),
    async *listKeys(request) {
      lookup.check("listKeys", request);
      for await (const record of source.list()) {
        lookup.check("listKeys", request);
        yield describe(record);
      }
    },

    async random(request) {
      lookup.check("random", request);
      // As in every other operation, an abort right after the call still rejects it.
      await null;
      lookup.check("random", request);
      return randomBytesFresh(request.bytes);
    },
    async health(request) {
      lookup.check("health", request);
      const start = performance.now();
      const reason = await whyUnhealthy(source, request.keyId);
      lookup.check("health", request);
      const times = { checkedAt: Date.now(), latencyMs: performance.now() - start };
      return reason === undefined
        ? { healthy: true, ...times }
        : { healthy: false, reason, ...times };
    },
    close: () => lookup.close(),
  };
}

const signatures = Object.values(ALGORITHMS).flatMap(({ signature }) => signature ?? []);
const macs: MacAlgorithm[] = Object.values(ALGORITHMS).flatMap(({ mac }) => mac?.algorithm ?? []);

function capabilitiesOf({ create, rotate }: KeySource): ProviderCapabilities {
  const operations: Operation[] = ["encrypt", "decrypt", "wrapKey", "unwrapKey", "rewrapKey"];
  operations.push("sign", "verify", "mac", "verifyMac", "getPublicKey");
  if (create) operations.push("createKey");
  if (rotate) operations.push("rotateKey");
  operations.push("describeKey", "listKeys", "random", "health");
  return {
    operations,
    keyAlgorithms: create ? (Object.keys(ALGORITHMS) as LocalKeyAlgorithm[]) : [],
    signatureAlgorithms: signatures,
    macAlgorithms: macs,
    aad: true,
    wrapAad: true,
    maxPlaintextBytes: 16 * 2 ** 20,
    maxAadBytes: 2 ** 16,
    // An RSA-4096 private key takes about 2,400 bytes.
    maxWrapBytes: 4096,
    signDigest: true,
    protection: "software",
    remote: false,
  };
}

function describe(record: KeyRecord): KeyDescription {
  const { version, state, createdAt } = currentVersion(record);
  return {
    keyId: record.id,
    keyVersion: String(version),
    algorithm: record.algorithm,
    usage: ALGORITHMS[record.algorithm].usage,
    state,
    protection: "software",
    ...(createdAt !== undefined && { createdAt }),
  };
}

async function withNewMaterial(
  algorithm: LocalKeyAlgorithm,
  store: (material: Bytes) => Promise<KeyRecord>,
): Promise<KeyDescription> {
  const material = generateKeyMaterial(algorithm);
  try {
    return describe(await store(material));
  } finally {
    zero(material);
  }
}

/** A health report never rejects: a source that fails is the finding. */
async function whyUnhealthy(
  source: KeySource,
  keyId: string | undefined,
): Promise<string | undefined> {
  if (keyId === undefined) return undefined;
  try {
    return (await source.get(keyId)) ? undefined : `No key ${keyId}`;
  } catch (error) {
    return `The key source failed: ${isCryptoError(error) ? error.code : "ERR_INTERNAL"}`;
  }
}

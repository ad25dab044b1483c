import { createHmac, randomUUID } from "node:crypto";
import {
  bytesEqual,
  type CallOptions,
  CryptoError,
  type CryptoErrorCode,
  type CryptoProvider,
  decryptionFailed,
  type KeyDescription,
  type KeyRequest,
  type KeyUsage,
  type MacAlgorithm,
  type Operation,
  type ProviderCapabilities,
  randomBytesFresh,
  type SignatureAlgorithm,
  toPlain,
  zero,
} from "@lango/crypto-core";
import { ALGORITHMS, isLocalAlgorithm, type LocalKeyAlgorithm } from "./algorithms.ts";
import type { KeyRecord, KeySource, KeyVersionRecord } from "./key-source.ts";
import { generateKeyMaterial } from "./material.ts";
import { createMemoryKeySource, type LocalKey } from "./memory-key-source.ts";
import { open, type Purpose, seal, sealedVersion } from "./sealing.ts";
import { publicKeyOf, sign, verify } from "./signing.ts";

/** Either the keys themselves or where to find them. */
export type LocalProviderOptions =
  | {
      /** Kept in memory; see {@link createMemoryKeySource}. Default: none; `createKey` makes the first. */
      readonly keys?: readonly LocalKey[];
      readonly source?: undefined;
    }
  | {
      /** Closed together with the provider. */
      readonly source: KeySource;
      readonly keys?: undefined;
    };

const NAME = "local";

/**
 * Makes a provider that computes in this process, with keys held as Node `KeyObject`s.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for a key that does not fit; see {@link createMemoryKeySource}.
 */
export function createLocalProvider(options: LocalProviderOptions = {}): CryptoProvider {
  const source = options.source ?? createMemoryKeySource(options.keys ?? []);
  let closed = false;

  const checkOpen = (operation: Operation, { signal }: CallOptions): void => {
    if (closed) throw fail("ERR_CLOSED", "The provider is closed", operation);
    signal?.throwIfAborted();
  };

  const find = async (operation: Operation, request: KeyRequest): Promise<KeyRecord> => {
    checkOpen(operation, request);
    const record = await source.get(request.keyId);
    checkOpen(operation, request);
    if (record) return record;
    throw fail("ERR_KEY_NOT_FOUND", `No key ${request.keyId}`, operation, request.keyId);
  };

  /** Finds a key that may do the operation. */
  const findFor = async (
    usage: KeyUsage,
    operation: Operation,
    request: KeyRequest,
  ): Promise<KeyRecord> => {
    const record = await find(operation, request);
    const actual = ALGORITHMS[record.algorithm].usage;
    if (actual === usage) return record;
    const message = `Key ${record.id} is for ${actual}, not for ${usage}`;
    throw fail("ERR_KEY_USAGE", message, operation, record.id);
  };

  /** Opens one version of a key. The signal is looked at once more, since a source may take its time. */
  const use = async (operation: Operation, request: KeyRequest, version: KeyVersionRecord) => {
    if (version.state !== "enabled") {
      const message = `Version ${version.version} of key ${request.keyId} is disabled`;
      throw fail("ERR_KEY_DISABLED", message, operation, request.keyId);
    }
    const key = await version.material();
    checkOpen(operation, request);
    return key;
  };

  const pick = (operation: Operation, record: KeyRecord, keyVersion?: string): KeyVersionRecord => {
    if (keyVersion === undefined) return current(record);
    const version = record.versions.find((each) => String(each.version) === keyVersion);
    if (version) return version;
    const message = `Key ${record.id} has no version ${keyVersion}`;
    throw fail("ERR_KEY_NOT_FOUND", message, operation, record.id);
  };

  const sealWith = async (
    purpose: Purpose,
    request: KeyRequest & { readonly aad?: Uint8Array | undefined },
    plaintext: Uint8Array,
  ) => {
    const operation = purpose === "encrypt" ? "encrypt" : "wrapKey";
    const record = await findFor("encryption", operation, request);
    const version = current(record);
    const key = await use(operation, request, version);
    return {
      sealed: seal(purpose, key, version.version, plaintext, request.aad),
      ...label(record, version),
    };
  };

  const openWith = async (
    purpose: Purpose,
    request: KeyRequest & { readonly aad?: Uint8Array | undefined },
    sealed: Uint8Array,
  ) => {
    const operation = purpose === "encrypt" ? "decrypt" : "unwrapKey";
    const record = await findFor("encryption", operation, request);
    const number = sealedVersion(purpose, sealed);
    const version = record.versions.find((each) => each.version === number);
    if (!version) throw decryptionFailed();
    const key = await use(operation, request, version);
    return open(purpose, key, sealed, request.aad);
  };

  const mac = async (operation: Operation, request: MacParts) => {
    const record = await findFor("mac", operation, request);
    const version = pick(operation, record, request.keyVersion);
    const key = await use(operation, request, version);
    const { algorithm, hash } = ALGORITHMS[record.algorithm].mac!;
    const bytes = toPlain(createHmac(hash, key).update(request.message).digest());
    return { mac: bytes, algorithm, ...label(record, version) };
  };

  const signingKey = async (operation: Operation, request: SigningParts) => {
    const record = await findFor("signing", operation, request);
    const algorithm = ALGORITHMS[record.algorithm].signature!;
    if (request.algorithm !== undefined && request.algorithm !== algorithm) {
      const message = `Key ${record.id} signs with ${algorithm}, not ${request.algorithm}`;
      throw fail("ERR_UNSUPPORTED", message, operation, record.id);
    }
    const version = pick(operation, record, request.keyVersion);
    return { record, version, algorithm, key: await use(operation, request, version) };
  };

  return {
    name: NAME,
    capabilities: capabilitiesOf(source),

    async encrypt(request) {
      const { sealed, ...used } = await sealWith("encrypt", request, request.plaintext);
      return { ciphertext: sealed, ...used };
    },
    decrypt: (request) => openWith("encrypt", request, request.ciphertext),

    async wrapKey(request) {
      const { sealed, ...used } = await sealWith("wrap", request, request.key);
      return { wrappedKey: sealed, ...used };
    },
    unwrapKey: (request) => openWith("wrap", request, request.wrappedKey),

    async sign(request) {
      const { record, version, algorithm, key } = await signingKey("sign", request);
      const signature = await sign(record.algorithm, key, request);
      checkOpen("sign", request);
      return { signature, algorithm, ...label(record, version) };
    },
    async verify(request) {
      const { record, key } = await signingKey("verify", request);
      return verify(record.algorithm, key, request, request.signature);
    },

    mac: (request) => mac("mac", request),
    async verifyMac(request) {
      const expected = await mac("verifyMac", request);
      return bytesEqual(expected.mac, request.mac);
    },

    async getPublicKey(request) {
      const { record, version, key } = await signingKey("getPublicKey", request);
      return { publicKey: publicKeyOf(key), algorithm: record.algorithm, ...label(record, version) };
    },

    ...(source.create && {
      async createKey(request) {
        checkOpen("createKey", request);
        const { algorithm, usage, keyId = randomUUID() } = request;
        if (!isLocalAlgorithm(algorithm)) {
          throw fail("ERR_UNSUPPORTED", `No local keys of algorithm ${algorithm}`, "createKey");
        }
        if (usage !== ALGORITHMS[algorithm].usage) {
          const message = `An ${algorithm} key is for ${ALGORITHMS[algorithm].usage}, not for ${usage}`;
          throw fail("ERR_INVALID_ARGUMENT", message, "createKey", keyId);
        }
        return withNewMaterial(algorithm, async (material) =>
          describe(await source.create!({ id: keyId, algorithm, material })),
        );
      },
    }),
    ...(source.rotate && {
      async rotateKey(request) {
        const record = await find("rotateKey", request);
        return withNewMaterial(record.algorithm, async (material) =>
          describe(await source.rotate!(record.id, material)),
        );
      },
    }),
    describeKey: async (request) => describe(await find("describeKey", request)),
    async *listKeys(request) {
      checkOpen("listKeys", request);
      for await (const record of source.list()) {
        checkOpen("listKeys", request);
        yield describe(record);
      }
    },

    async random(request) {
      checkOpen("random", request);
      return randomBytesFresh(request.bytes);
    },
    async health(request) {
      checkOpen("health", request);
      const start = performance.now();
      const { keyId } = request;
      const missing = keyId !== undefined && (await source.get(keyId)) === undefined;
      return {
        healthy: !missing,
        checkedAt: Date.now(),
        latencyMs: performance.now() - start,
        ...(missing && { reason: `No key ${keyId}` }),
      };
    },
    async close() {
      if (closed) return;
      closed = true;
      await source.close?.();
    },
  };
}

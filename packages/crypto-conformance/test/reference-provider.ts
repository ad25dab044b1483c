import {
  constants,
  createHmac,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  sign as nodeSign,
  verify as nodeVerify,
} from "node:crypto";
import {
  type Bytes,
  bytesEqual,
  CryptoError,
  type CryptoErrorCode,
  type CryptoProvider,
  concat,
  createAesKey,
  decryptionFailed,
  type KeyAlgorithm,
  type KeyDescription,
  type KeyRequest,
  type KeyUsage,
  type MacAlgorithm,
  NONCE_BYTES,
  OPERATIONS,
  openAesGcm,
  randomBytesFresh,
  type SignatureAlgorithm,
  sealAesGcmInto,
  TAG_BYTES,
  toPlain,
} from "@lango/crypto-core";
import type { Harness } from "../src/index.ts";
import { MAC_ALGORITHMS, SIGNATURE_ALGORITHMS } from "../src/needs.ts";
import { signDigest } from "./sign-digest.ts";

// A provider without faults that offers everything, for the faults to be planted in. It is written anew here: the suite
// cannot stand on crypto-local, which is tested with it.

interface Key {
  readonly id: string;
  readonly algorithm: KeyAlgorithm;
  readonly usage: KeyUsage;
  readonly state: "enabled" | "disabled";
  /** Version n is at n − 1. */
  readonly versions: KeyObject[];
}

const pair = (namedCurve: string) => generateKeyPairSync("ec", { namedCurve }).privateKey;
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
// Made once: every planted fault gets a provider of its own over the same keys.
const SIGNING: Record<SignatureAlgorithm, readonly [KeyAlgorithm, KeyObject]> = {
  "ecdsa-p256-sha256": ["ecdsa-p256", pair("prime256v1")],
  "ecdsa-p384-sha384": ["ecdsa-p384", pair("secp384r1")],
  "ecdsa-secp256k1-sha256": ["secp256k1", pair("secp256k1")],
  ed25519: ["ed25519", generateKeyPairSync("ed25519").privateKey],
  "rsa-pss-sha256": ["rsa-2048", rsa],
  "rsa-pss-sha384": ["rsa-2048", rsa],
  "rsa-pss-sha512": ["rsa-2048", rsa],
  "rsa-pkcs1-sha256": ["rsa-2048", rsa],
  "rsa-pkcs1-sha384": ["rsa-2048", rsa],
  "rsa-pkcs1-sha512": ["rsa-2048", rsa],
};
const SIGNATURES = Object.keys(SIGNING) as SignatureAlgorithm[];
const MACS = Object.keys(MAC_ALGORITHMS) as MacAlgorithm[];
const CREATABLE: Partial<Record<KeyAlgorithm, KeyUsage>> = {
  "aes-256-gcm": "encryption",
  "hmac-sha256": "mac",
};

const secret = () => createSecretKey(randomBytesFresh(32));

/** A harness around a new reference provider. */
export function createReference(): Harness {
  const keys = new Map<string, Key>();
  const add = (id: string, algorithm: KeyAlgorithm, usage: KeyUsage, key: KeyObject) =>
    keys.set(id, { id, algorithm, usage, state: "enabled", versions: [key] });
  for (const id of ["a", "b", "rotatable"]) add(id, "aes-256-gcm", "encryption", secret());
  add("disabled", "aes-256-gcm", "encryption", secret());
  keys.set("disabled", { ...keys.get("disabled")!, state: "disabled" });
  for (const algorithm of MACS) add(algorithm, algorithm, "mac", secret());
  for (const scheme of SIGNATURES) add(scheme, SIGNING[scheme][0], "signing", SIGNING[scheme][1]);
  let names = 0;
  return {
    provider: createProvider(keys),
    keys: {
      missing: "missing",
      aead: ["a", "b"],
      signing: Object.fromEntries(SIGNATURES.map((algorithm) => [algorithm, algorithm])),
      mac: Object.fromEntries(MACS.map((algorithm) => [algorithm, algorithm])),
      disabled: "disabled",
      rotatable: "rotatable",
      fresh: () => `fresh-${++names}`,
    },
    parallelCalls: 10,
  };
}

function createProvider(keys: Map<string, Key>): Required<CryptoProvider> {
  let closed = false;

  const enter = async ({ signal }: { signal?: AbortSignal | undefined }): Promise<void> => {
    for (let turn = 0; turn < 2; turn++) {
      if (closed) throw fail("ERR_CLOSED", "closed");
      signal?.throwIfAborted();
      await null;
    }
    signal?.throwIfAborted();
  };
  const find = async (request: KeyRequest): Promise<Key> => {
    await enter(request);
    return keys.get(request.keyId) ?? fail("ERR_KEY_NOT_FOUND", `no key ${request.keyId}`, true);
  };
  const use = async (usage: KeyUsage, request: KeyRequest): Promise<Key> => {
    const key = await find(request);
    if (key.usage !== usage) throw fail("ERR_KEY_USAGE", `key ${key.id} is for ${key.usage}`);
    if (key.state === "disabled") throw fail("ERR_KEY_DISABLED", `key ${key.id} is disabled`);
    return key;
  };
  const seal = (key: Key, purpose: number, plaintext: Uint8Array, aad?: Uint8Array): Bytes => {
    const header = Uint8Array.of(purpose, key.versions.length);
    const nonce = randomBytesFresh(NONCE_BYTES);
    const out = concat(header, nonce, plaintext, new Uint8Array(TAG_BYTES));
    const aesKey = derive(key.versions.at(-1)!, purpose);
    sealAesGcmInto(aesKey, nonce, concat(header, aad ?? header.subarray(2)), plaintext, out, 14);
    return out;
  };
  const open = (key: Key, purpose: number, sealed: Uint8Array, aad?: Uint8Array): Bytes => {
    const version = key.versions[(sealed[1] ?? 0) - 1];
    if (sealed.length < 30 || sealed[0] !== purpose || !version) throw decryptionFailed();
    const boundTo = concat(sealed.subarray(0, 2), aad ?? new Uint8Array());
    return openAesGcm(
      derive(version, purpose),
      sealed.subarray(2, 14),
      boundTo,
      sealed.subarray(14),
    );
  };
  const schemeOf = (key: Key, wanted: SignatureAlgorithm | undefined): SignatureAlgorithm => {
    const fitting = SIGNATURES.filter((each) => SIGNING[each][0] === key.algorithm);
    const scheme = wanted ?? fitting[0]!;
    return fitting.includes(scheme) ? scheme : fail("ERR_UNSUPPORTED", `not ${scheme}`, true);
  };

  return {
    name: "reference",
    capabilities: {
      operations: OPERATIONS,
      keyAlgorithms: Object.keys(CREATABLE) as KeyAlgorithm[],
      signatureAlgorithms: SIGNATURES,
      macAlgorithms: MACS,
      aad: true,
      wrapAad: true,
      maxPlaintextBytes: 8192,
      maxAadBytes: 1000,
      maxWrapBytes: 200,
      signDigest: true,
      protection: "software",
      remote: false,
    },
    async encrypt(request) {
      const key = await use("encryption", request);
      return { ciphertext: seal(key, 1, request.plaintext, request.aad), ...current(key) };
    },
    async decrypt(request) {
      return open(await use("encryption", request), 1, request.ciphertext, request.aad);
    },
    async wrapKey(request) {
      const key = await use("encryption", request);
      return { wrappedKey: seal(key, 2, request.key, request.aad), ...current(key) };
    },
    async unwrapKey(request) {
      return open(await use("encryption", request), 2, request.wrappedKey, request.aad);
    },
    async rewrapKey(request) {
      const from = await use("encryption", request);
      const to = await use("encryption", { ...request, keyId: request.toKeyId });
      const key = open(from, 2, request.wrappedKey, request.aad);
      return { wrappedKey: seal(to, 2, key, request.aad), ...current(to) };
    },
    async sign(request) {
      const key = await use("signing", request);
      const algorithm = schemeOf(key, request.algorithm);
      const privateKey = key.versions[0]!;
      const signature =
        request.digest === undefined
          ? nodeSign(hashOf(algorithm), request.message, options(algorithm, privateKey))
          : signDigest(algorithm, privateKey, request.digest);
      return { signature: toPlain(signature), algorithm, ...current(key) };
    },
    async verify(request) {
      const key = await use("signing", request);
      const algorithm = schemeOf(key, request.algorithm);
      const message = request.message ?? fail("ERR_UNSUPPORTED", "no digest here", true);
      const publicKey = options(algorithm, createPublicKey(key.versions[0]!));
      return nodeVerify(hashOf(algorithm), message, publicKey, request.signature);
    },
    async mac(request) {
      const key = await use("mac", request);
      return {
        mac: hmac(key, request.message),
        algorithm: key.algorithm as MacAlgorithm,
        ...current(key),
      };
    },
    async verifyMac(request) {
      return bytesEqual(hmac(await use("mac", request), request.message), request.mac);
    },
    async getPublicKey(request) {
      const key = await use("signing", request);
      const spki = createPublicKey(key.versions[0]!).export({ type: "spki", format: "der" });
      return { publicKey: toPlain(spki), algorithm: key.algorithm, ...current(key) };
    },
    async createKey(request) {
      await enter(request);
      const { keyId = "unnamed", algorithm, usage } = request;
      if (keys.has(keyId)) throw fail("ERR_CONFLICT", `key ${keyId} exists`);
      const key: Key = { id: keyId, algorithm, usage, state: "enabled", versions: [secret()] };
      keys.set(keyId, key);
      return describe(key);
    },
    async rotateKey(request) {
      const key = await find(request);
      key.versions.push(secret());
      return describe(key);
    },
    describeKey: async (request) => describe(await find(request)),
    async *listKeys(request) {
      for (const key of keys.values()) {
        await enter(request);
        yield describe(key);
      }
    },
    async random(request) {
      await enter(request);
      return randomBytesFresh(request.bytes);
    },
    async health(request) {
      await enter(request);
      const healthy = request.keyId === undefined || keys.has(request.keyId);
      const report = { healthy, checkedAt: Date.now(), latencyMs: 0 };
      return healthy ? report : { ...report, reason: `no key ${request.keyId}` };
    },
    async close() {
      closed = true;
    },
  };
}

const hashOf = (algorithm: SignatureAlgorithm) => SIGNATURE_ALGORITHMS[algorithm] ?? null;

function options(algorithm: SignatureAlgorithm, key: KeyObject) {
  if (!algorithm.startsWith("rsa-pss")) return { key, dsaEncoding: "ieee-p1363" as const };
  const saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
  return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
}

const hmac = (key: Key, message: Uint8Array): Bytes =>
  toPlain(
    createHmac(key.algorithm.slice("hmac-".length), key.versions[0]!).update(message).digest(),
  );

const derive = (key: KeyObject, purpose: number): KeyObject =>
  createAesKey(new Uint8Array(hkdfSync("sha256", key, "", Uint8Array.of(purpose), 32)));

const current = ({ id, versions }: Key) => ({ keyId: id, keyVersion: String(versions.length) });

const describe = (key: Key): KeyDescription => ({
  ...current(key),
  algorithm: key.algorithm,
  usage: key.usage,
  state: key.state,
  protection: "software",
});

function fail(code: CryptoErrorCode, message: string): CryptoError;
function fail(code: CryptoErrorCode, message: string, now: true): never;
function fail(code: CryptoErrorCode, message: string, now?: true): CryptoError {
  const error = new CryptoError(code, `reference: ${message}`);
  if (now) throw error;
  return error;
}

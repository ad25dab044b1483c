import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  timingSafeEqual,
  verify,
} from "node:crypto";
import type {
  Bytes,
  CallOptions,
  CreateKeyRequest,
  CryptoProvider,
  DecryptRequest,
  EncryptRequest,
  EncryptResult,
  HealthReport,
  HealthRequest,
  KeyDescription,
  KeyRequest,
  MacRequest,
  MacResult,
  Operation,
  ProviderCapabilities,
  PublicKeyResult,
  RandomRequest,
  RewrapKeyRequest,
  SignRequest,
  SignResult,
  UnwrapKeyRequest,
  VerifyMacRequest,
  VerifyRequest,
  WrapKeyRequest,
  WrapKeyResult,
} from "@lango/crypto-core";
import {
  CryptoError,
  createAesKey,
  NONCE_BYTES,
  OPERATIONS,
  openAesGcm,
  randomBytesFresh,
  sealAesGcmInto,
  TAG_BYTES,
  toPlain,
  utf8,
} from "@lango/crypto-core";

const EMPTY = new Uint8Array();

interface Key {
  readonly aes: KeyObject;
  readonly mac: Bytes;
  readonly signing: KeyObject;
}

/**
 * A provider with real cryptography and keys in memory. Tests steer it from outside: `fault` is thrown by the next calls,
 * `gate` holds them up. A class with private fields, so that a lost `this` shows.
 */
export class MemoryProvider implements CryptoProvider {
  readonly name: string;
  capabilities: ProviderCapabilities = {
    operations: OPERATIONS,
    keyAlgorithms: ["aes-256-gcm", "hmac-sha256"],
    signatureAlgorithms: ["ed25519", "ecdsa-p256-sha256"],
    macAlgorithms: ["hmac-sha256"],
    aad: true,
    wrapAad: true,
    maxPlaintextBytes: 4096,
    maxAadBytes: 1024,
    maxWrapBytes: 64,
    signDigest: true,
    protection: "software",
    remote: true,
  };
  /** Every call, in order. */
  readonly calls: Operation[] = [];
  /** The last request. */
  last: CallOptions = {};
  /** Thrown by a call while it is set; a function decides per call. */
  fault: unknown;
  /** Awaited by every call, whatever its signal says. */
  gate: Promise<void> | undefined;
  closed = 0;
  readonly #keys = new Map<string, Key>();

  constructor(name: string, keyIds: readonly string[] = ["k1"]) {
    this.name = name;
    for (const keyId of keyIds) this.addKey(keyId);
  }

  addKey(keyId: string): void {
    this.#keys.set(keyId, {
      aes: createAesKey(randomBytesFresh(32)),
      mac: randomBytesFresh(32),
      signing: generateKeyPairSync("ed25519").privateKey,
    });
  }

  count(operation: Operation): number {
    return this.calls.filter((call) => call === operation).length;
  }

  async #enter(operation: Operation, request: CallOptions): Promise<void> {
    this.calls.push(operation);
    this.last = request;
    const { fault, gate } = this;
    await gate;
    const thrown = typeof fault === "function" ? fault() : fault;
    if (thrown !== undefined) throw thrown;
  }

  #key(keyId: string): Key {
    const key = this.#keys.get(keyId);
    if (key === undefined) throw new CryptoError("ERR_KEY_NOT_FOUND", `No key ${keyId}`);
    return key;
  }

  #seal(keyId: string, plaintext: Uint8Array, aad: Uint8Array): Bytes {
    const out = new Uint8Array(NONCE_BYTES + plaintext.length + TAG_BYTES);
    const nonce = randomBytesFresh(NONCE_BYTES);
    out.set(nonce);
    sealAesGcmInto(this.#key(keyId).aes, nonce, aad, plaintext, out, NONCE_BYTES);
    return out;
  }

  #open(keyId: string, sealed: Uint8Array, aad: Uint8Array): Bytes {
    const nonce = sealed.subarray(0, NONCE_BYTES);
    return openAesGcm(this.#key(keyId).aes, nonce, aad, sealed.subarray(NONCE_BYTES));
  }

  #describe(keyId: string): KeyDescription {
    this.#key(keyId);
    return {
      keyId,
      keyVersion: "1",
      algorithm: "aes-256-gcm",
      usage: "encryption",
      state: "enabled",
      protection: "software",
    };
  }

  async encrypt(request: EncryptRequest): Promise<EncryptResult> {
    await this.#enter("encrypt", request);
    const { keyId, plaintext, aad = EMPTY } = request;
    return { keyId, keyVersion: "1", ciphertext: this.#seal(keyId, plaintext, aad) };
  }

  async decrypt(request: DecryptRequest): Promise<Bytes> {
    await this.#enter("decrypt", request);
    return this.#open(request.keyId, request.ciphertext, request.aad ?? EMPTY);
  }

  async wrapKey(request: WrapKeyRequest): Promise<WrapKeyResult> {
    await this.#enter("wrapKey", request);
    const { keyId, key, aad = EMPTY } = request;
    return { keyId, keyVersion: "1", wrappedKey: this.#seal(keyId, key, aad) };
  }

  async unwrapKey(request: UnwrapKeyRequest): Promise<Bytes> {
    await this.#enter("unwrapKey", request);
    return this.#open(request.keyId, request.wrappedKey, request.aad ?? EMPTY);
  }

  async rewrapKey(request: RewrapKeyRequest): Promise<WrapKeyResult> {
    await this.#enter("rewrapKey", request);
    const { keyId, toKeyId, wrappedKey, aad = EMPTY } = request;
    const key = this.#open(keyId, wrappedKey, aad);
    return { keyId: toKeyId, keyVersion: "1", wrappedKey: this.#seal(toKeyId, key, aad) };
  }

  async sign(request: SignRequest): Promise<SignResult> {
    await this.#enter("sign", request);
    const { keyId, message = EMPTY } = request;
    const signature = toPlain(sign(null, message, this.#key(keyId).signing));
    return { keyId, keyVersion: "1", signature, algorithm: "ed25519" };
  }

  async verify(request: VerifyRequest): Promise<boolean> {
    await this.#enter("verify", request);
    const { keyId, message = EMPTY, signature } = request;
    return verify(null, message, createPublicKey(this.#key(keyId).signing), signature);
  }

  async mac(request: MacRequest): Promise<MacResult> {
    await this.#enter("mac", request);
    const mac = createHmac("sha256", this.#key(request.keyId).mac).update(request.message).digest();
    return { keyId: request.keyId, keyVersion: "1", mac: toPlain(mac), algorithm: "hmac-sha256" };
  }

  async verifyMac(request: VerifyMacRequest): Promise<boolean> {
    await this.#enter("verifyMac", request);
    const mac = createHmac("sha256", this.#key(request.keyId).mac).update(request.message).digest();
    return mac.length === request.mac.length && timingSafeEqual(mac, request.mac);
  }

  async getPublicKey(request: KeyRequest): Promise<PublicKeyResult> {
    await this.#enter("getPublicKey", request);
    const key = createPublicKey(this.#key(request.keyId).signing);
    const publicKey = toPlain(key.export({ type: "spki", format: "der" }));
    return { keyId: request.keyId, keyVersion: "1", publicKey, algorithm: "ed25519" };
  }

  async createKey(request: CreateKeyRequest): Promise<KeyDescription> {
    await this.#enter("createKey", request);
    const keyId = request.keyId ?? "new";
    this.addKey(keyId);
    return this.#describe(keyId);
  }

  async rotateKey(request: KeyRequest): Promise<KeyDescription> {
    await this.#enter("rotateKey", request);
    return { ...this.#describe(request.keyId), keyVersion: "2" };
  }

  async describeKey(request: KeyRequest): Promise<KeyDescription> {
    await this.#enter("describeKey", request);
    return this.#describe(request.keyId);
  }

  async *listKeys(request: CallOptions): AsyncGenerator<KeyDescription, void, undefined> {
    for (const keyId of this.#keys.keys()) {
      await this.#enter("listKeys", request);
      yield this.#describe(keyId);
    }
  }

  async random(request: RandomRequest): Promise<Bytes> {
    await this.#enter("random", request);
    return randomBytesFresh(request.bytes);
  }

  async health(request: HealthRequest): Promise<HealthReport> {
    await this.#enter("health", request);
    return { healthy: true, checkedAt: Date.now(), latencyMs: 0 };
  }

  async close(): Promise<void> {
    this.closed++;
  }
}

/** What a service that cannot be reached throws. */
export const unavailable = (): CryptoError =>
  new CryptoError("ERR_UNAVAILABLE", "The service cannot be reached");

/** A gate for {@link MemoryProvider.gate} and the function that opens it. */
export const createGate = (): { gate: Promise<void>; open: () => void } => {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { gate: promise, open: resolve };
};

/** How a call ended: its error, or `undefined` if it resolved. */
export const errorOf = async (call: Promise<unknown>): Promise<unknown> => {
  try {
    await call;
    return undefined;
  } catch (error) {
    return error;
  }
};

/** The code of the error that a call ended with, or `"ok"`. */
export const codeOf = async (call: Promise<unknown>): Promise<unknown> => {
  const error = await errorOf(call);
  if (error === undefined) return "ok";
  return error instanceof CryptoError ? error.code : error;
};

/** One call of each operation on a key, for tests that go through them all. */
export const KEY_CALLS: Readonly<
  Record<
    Exclude<Operation, "listKeys" | "random" | "health">,
    (provider: CryptoProvider, keyId: string) => Promise<unknown>
  >
> = {
  encrypt: (p, keyId) => p.encrypt({ keyId, plaintext: utf8("text") }),
  decrypt: (p, keyId) => p.decrypt({ keyId, ciphertext: new Uint8Array(40) }),
  sign: async (p, keyId) => p.sign?.({ keyId, message: utf8("text") }),
  verify: async (p, keyId) =>
    p.verify?.({ keyId, message: utf8("text"), signature: new Uint8Array(64) }),
  mac: async (p, keyId) => p.mac?.({ keyId, message: utf8("text") }),
  verifyMac: async (p, keyId) =>
    p.verifyMac?.({ keyId, message: utf8("text"), mac: new Uint8Array(32) }),
  wrapKey: async (p, keyId) => p.wrapKey?.({ keyId, key: new Uint8Array(32) }),
  unwrapKey: async (p, keyId) => p.unwrapKey?.({ keyId, wrappedKey: new Uint8Array(60) }),
  rewrapKey: async (p, keyId) =>
    p.rewrapKey?.({ keyId, toKeyId: keyId, wrappedKey: new Uint8Array(60) }),
  getPublicKey: async (p, keyId) => p.getPublicKey?.({ keyId }),
  createKey: async (p, keyId) =>
    p.createKey?.({ keyId, algorithm: "aes-256-gcm", usage: "encryption" }),
  rotateKey: async (p, keyId) => p.rotateKey?.({ keyId }),
  describeKey: (p, keyId) => p.describeKey({ keyId }),
};

/** Those of {@link KEY_CALLS} that are `ERR_DECRYPTION_FAILED`: they open zeros. */
export const OPENING: ReadonlySet<Operation> = new Set(["decrypt", "unwrapKey", "rewrapKey"]);

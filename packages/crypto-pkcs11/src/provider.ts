import { isAbsolute } from "node:path";
import {
  type Bytes,
  bytesEqual,
  type CallOptions,
  type CryptoProvider,
  type ErrorContext,
  isCryptoError,
  type KeyDescription,
  type KeyResult,
  type MacAlgorithm,
  type MacRequest,
  type MacResult,
  type Operation,
} from "@lango/crypto-core";
import { capabilitiesOf, type KeyWrap, MACS, type OaepHash, usagesOf } from "./algorithms.ts";
import { CKO } from "./constants.ts";
import { fail } from "./errors.ts";
import { createKeys, type FoundKey } from "./keys.ts";
import { childEnvironment } from "./module-process.ts";
import { newKey } from "./new-key.ts";
import { type CallSettings, createPool, type OpenToken, type Pool } from "./pool.ts";
import type { KeyFacts } from "./protocol.ts";
import { spkiOf } from "./public-key.ts";
import { createSealing } from "./sealing.ts";
import { normalizeSignature, signatureBytes, signInput } from "./signing.ts";
import { type FoundBy, namesToken, type TokenChoice } from "./token-choice.ts";
import { parseKeyId } from "./uri.ts";

export interface Pkcs11ProviderOptions {
  /** Absolute path of the PKCS#11 library. */
  readonly modulePath: string;
  /** Which token. Default: the only one that is initialised. */
  readonly token?: TokenChoice | undefined;
  /** The user's PIN; copied, and zeroed by `close`. Default: none, for tokens that want none or have a PIN pad. */
  readonly pin?: Uint8Array | undefined;
  /** The key that `health` reads when it is not told one. Default: none; then the token itself. */
  readonly healthKeyId?: string | undefined;
  /** Environment variables for the module, e.g. `{ SOFTHSM2_CONF: … }`, beside those of this process. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Arguments of C_Initialize. NSS wants its `libraryParameters`. */
  readonly initialize?:
    | { readonly libraryParameters?: string; readonly flags?: number }
    | undefined;
  /** Sessions, each in a process of its own: the first at once, others under load. Default: 2. */
  readonly maxSessions?: number | undefined;
  /** Calls that may wait at once; one more is `ERR_RATE_LIMITED`. Default: 1024. */
  readonly maxCalls?: number | undefined;
  /** Milliseconds for one operation of the module; then its process is ended, with `ERR_TIMEOUT`. Default: 10,000. */
  readonly operationTimeoutMs?: number | undefined;
  /**
   * Hash of RSA-OAEP. Default: `sha256`; a token without it refuses RSA keys for encryption. `sha1` is for tokens that have
   * nothing else, such as SoftHSM: no attack on OAEP with SHA-1 is known, but many rules forbid it.
   */
  readonly oaepHash?: OaepHash | undefined;
  /**
   * What `wrapKey` uses with AES keys. Default: `aes-gcm`, which authenticates AAD. With `aes-kwp` (RFC 5649) a non-empty AAD
   * is refused, and keys have to have CKA_WRAP and CKA_UNWRAP.
   */
  readonly keyWrap?: KeyWrap | undefined;
  /** Whether the token makes the IV of AES-GCM itself, as FIPS tokens do. Default: false. */
  readonly tokenMakesIv?: boolean | undefined;
}

/** Which token a provider works with, and how it was found. */
export interface TokenDescription {
  readonly label: string;
  readonly serial: string;
  readonly manufacturer: string;
  readonly model: string;
  readonly slotId: number;
  readonly foundBy: FoundBy;
}

export interface Pkcs11Provider extends CryptoProvider {
  /** @throws {@link CryptoError} `ERR_UNAVAILABLE` if the token is not there. */
  describeToken(): Promise<TokenDescription>;
}

/** Key pairs take their time on small tokens. */
const CREATE_TIMEOUT_MS = 120_000;

const NAME = "pkcs11";

/**
 * Makes a provider over one token. The module is loaded in a child process.
 *
 * What the token offers is asked before this resolves. If the token cannot be reached then, `capabilities` name all that this
 * package knows, and what the token lacks is refused call by call.
 *
 * @throws {@link CryptoError} `ERR_CONFIG` for a module that is not there or several tokens that fit,
 *   `ERR_PROVIDER_NOT_INSTALLED` if pkcs11js is missing or not compiled.
 */
export async function createPkcs11Provider(
  options: Pkcs11ProviderOptions,
): Promise<Pkcs11Provider> {
  const { modulePath, initialize = {}, env = {}, token = {}, pin, oaepHash = "sha256" } = options;
  const { keyWrap = "aes-gcm", tokenMakesIv = false, operationTimeoutMs = 10_000 } = options;
  const { maxSessions = 2, maxCalls = 1024, healthKeyId } = options;
  if (!isAbsolute(modulePath)) throw fail("ERR_CONFIG", "modulePath must be an absolute path");
  const pool = createPool({
    modulePath,
    initialize,
    env: childEnvironment(env),
    token,
    pin: pin === undefined ? undefined : new Uint8Array(pin),
    maxSessions,
    maxCalls,
    operationTimeoutMs,
  });
  const opened = await firstLook(pool);
  const capabilities = capabilitiesOf(opened, oaepHash, keyWrap);
  const keys = createKeys(pool);
  const sealing = createSealing(pool, {
    oaepHash,
    keyWrap,
    tokenMakesIv,
    async oaepOffered({ context, signal }) {
      if (oaepHash === "sha1") return true;
      return (await pool.look(context, signal)).probes.oaepSha256;
    },
  });

  /** Runs a call on a key. One that the token no longer has is looked for anew at the next call. */
  const withKey = async <T>(
    operation: Operation,
    usage: "encryption" | "signing" | "mac",
    request: CallOptions & { readonly keyId: string },
    work: (key: FoundKey, settings: CallSettings, result: KeyResult) => Promise<T>,
  ): Promise<T> => {
    const { keyId, signal } = request;
    const key = await keys.find(operation, usage, request);
    try {
      const context = { operation, keyId: key.keyId };
      return await work(key, { context, signal }, { keyId: key.keyId, keyVersion: "1" });
    } catch (error) {
      if (isCryptoError(error) && error.code === "ERR_KEY_NOT_FOUND") keys.forget(keyId);
      throw error;
    }
  };

  const mac = (operation: Operation, request: MacRequest): Promise<MacResult> =>
    withKey(operation, "mac", request, async (key, settings, result) => {
      const algorithm = key.algorithm as MacAlgorithm;
      const ask = { key: key.ref, mechanism: { type: MACS[algorithm].mechanism } };
      const withPin = key.facts.alwaysAuthenticate;
      const { bytes } = await pool.call("sign", ask, {
        ...settings,
        bytes: [request.message],
        withPin,
      });
      const [value = new Uint8Array()] = bytes;
      if (value.length !== MACS[algorithm].bytes) {
        throw fail(
          "ERR_INTERNAL",
          `The token gave a MAC of ${value.length} bytes`,
          settings.context,
        );
      }
      return { mac: value, algorithm, ...result };
    });

  const describe = ({ keyId, algorithm, facts }: FoundKey): KeyDescription => ({
    keyId,
    keyVersion: "1",
    algorithm,
    usage: usagesOf(facts, algorithm)[0] ?? "signing",
    state: "enabled",
    protection: capabilities.protection,
  });

  const methods: Required<
    Omit<CryptoProvider, "name" | "capabilities" | "rotateKey" | "rewrapKey">
  > = {
    encrypt: (request) =>
      withKey("encrypt", "encryption", request, async (key, settings, result) => {
        const { plaintext, aad } = request;
        const ciphertext = await sealing.seal("encrypt", key, plaintext, aad, settings);
        return { ciphertext, ...result };
      }),
    decrypt: (request) =>
      withKey("decrypt", "encryption", request, (key, settings) =>
        sealing.open("encrypt", key, request.ciphertext, request.aad, settings),
      ),
    wrapKey: (request) =>
      withKey("wrapKey", "encryption", request, async (key, settings, result) => {
        const wrappedKey = await sealing.seal("wrap", key, request.key, request.aad, settings);
        return { wrappedKey, ...result };
      }),
    unwrapKey: (request) =>
      withKey("unwrapKey", "encryption", request, (key, settings) =>
        sealing.open("wrap", key, request.wrappedKey, request.aad, settings),
      ),
    sign: (request) =>
      withKey("sign", "signing", request, async (key, settings, result) => {
        const { algorithm, mechanism, data } = signInput(key, request);
        const withPin = key.facts.alwaysAuthenticate;
        const ask = { key: key.ref, mechanism };
        const { bytes } = await pool.call("sign", ask, { ...settings, bytes: [data], withPin });
        const signature = normalizeSignature(key, bytes[0] ?? new Uint8Array());
        return { signature, algorithm, ...result };
      }),
    verify: (request) =>
      withKey("verify", "signing", request, async (key, settings) => {
        const { mechanism, data } = signInput(key, request);
        if (request.signature.length !== signatureBytes(key)) return false;
        const bytes = [data, request.signature];
        const ask = { key: key.publicRef, mechanism };
        const { answer } = await pool.call("verify", ask, { ...settings, bytes });
        return answer.valid;
      }),
    mac: (request) => mac("mac", request),
    verifyMac: async (request) => bytesEqual((await mac("verifyMac", request)).mac, request.mac),
    getPublicKey: (request) =>
      withKey("getPublicKey", "signing", request, async (key, settings, result) => {
        const facts = await publicFacts(pool, key, settings);
        return { publicKey: spkiOf(facts), algorithm: key.algorithm, ...result };
      }),
    async createKey(request) {
      const { signal, algorithm, usage } = request;
      const context: ErrorContext = { operation: "createKey" };
      pool.check(context, signal);
      const name = request.keyId === undefined ? {} : parseKeyId(request.keyId);
      const token = await pool.look(context, signal);
      if (!capabilities.keyAlgorithms.includes(algorithm)) {
        throw fail("ERR_UNSUPPORTED", `The token makes no keys of ${algorithm}`, context);
      }
      if (usage === "encryption" && algorithm.startsWith("rsa")) await refuseWithoutOaep(token);
      const key = newKey(request, name, keyWrap);
      if (!namesToken(name, token.token) || classOf(name.type, key.class) !== key.class) {
        throw fail("ERR_INVALID_ARGUMENT", "The key id names another token or class", context);
      }
      const taken = [
        ...(await keys.search({ object: key.object }, [key.class], { signal })),
        ...(await keys.search({ id: key.id }, [key.class], { signal })),
      ];
      if (taken[0] !== undefined) {
        throw fail("ERR_CONFLICT", `There is a key of that name: ${taken[0].keyId}`, context);
      }
      const settings = { context, signal, repeatable: false, timeoutMs: CREATE_TIMEOUT_MS };
      const { answer } = await pool.call("generate", key.ask, settings);
      const made = keys.describe(answer, token);
      if (made.algorithm === undefined || !answer.sensitive || answer.extractable) {
        const message = `The token made key ${made.keyId}, but not as it was asked to: delete it`;
        throw fail("ERR_INTERNAL", message, context);
      }
      return describe(made as FoundKey);
    },
    describeKey: async (request) => describe(await keys.find("describeKey", undefined, request)),
    async *listKeys(request) {
      for (const key of await keys.list(request)) yield describe(key);
    },
    async random(request) {
      const { signal, bytes } = request;
      const settings = { context: { operation: "random" }, signal };
      const { bytes: results } = await pool.call("random", { bytes }, settings);
      return results[0] as Bytes;
    },
    async health(request) {
      const { signal, keyId = healthKeyId } = request;
      const startedAt = performance.now();
      const reason = await whyUnhealthy(keyId, signal);
      const times = { checkedAt: Date.now(), latencyMs: performance.now() - startedAt };
      return reason === undefined
        ? { healthy: true, ...times }
        : { healthy: false, reason, ...times };
    },
    close: () => pool.close(),
  };

  const whyUnhealthy = async (
    keyId: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> => {
    const context = { operation: "health" };
    try {
      const { token } = await pool.look(context, signal);
      if (keyId === undefined) {
        await pool.call("info", { slotId: token.slotId }, { context, signal });
        return undefined;
      }
      const name = parseKeyId(keyId);
      const found = namesToken(name, token) && (await keys.search(name, SEARCHED, { signal }));
      return found && found.length > 0 ? undefined : `No key ${keyId}`;
    } catch (error) {
      if (!isCryptoError(error) || error.code === "ERR_CLOSED") throw error;
      return error.message;
    }
  };

  const refuseWithoutOaep = async ({ probes }: OpenToken): Promise<void> => {
    if (oaepHash === "sha1" || probes.oaepSha256) return;
    throw fail("ERR_UNSUPPORTED", "The token has no RSA-OAEP with SHA-256", {
      operation: "createKey",
    });
  };

  const offered = Object.entries(methods).filter(
    ([name]) =>
      name === "close" || ALWAYS.has(name) || capabilities.operations.includes(name as Operation),
  );
  return {
    name: NAME,
    capabilities,
    ...(Object.fromEntries(offered) as typeof methods),
    async describeToken() {
      const { token: facts, by } = await pool.look({ operation: "describeKey" }, undefined);
      const { label, serial, manufacturer, model, slotId } = facts;
      return { label, serial, manufacturer, model, slotId, foundBy: by };
    },
  };
}

/** Methods that every provider has, also where the token has no mechanism for them. */
const ALWAYS: ReadonlySet<string> = new Set(["encrypt", "decrypt", "describeKey", "health"]);
const SEARCHED: readonly number[] = [CKO.privateKey, CKO.secretKey];

const classOf = (type: "private" | "secret-key" | undefined, other: number): number =>
  type === undefined ? other : type === "private" ? CKO.privateKey : CKO.secretKey;

/** What is known of the token before the first call; a token that is away is no reason to have no provider. */
async function firstLook(pool: Pool): Promise<OpenToken | undefined> {
  try {
    return await pool.look({ operation: "health" }, undefined);
  } catch (error) {
    if (isCryptoError(error) && error.retryable) return undefined;
    await pool.close();
    throw error;
  }
}

/** The public half of a pair. RSA keys show it in the private one too. */
async function publicFacts(
  pool: Pool,
  { facts, publicRef }: FoundKey,
  { context, signal }: CallSettings,
): Promise<KeyFacts> {
  if (facts.modulus !== undefined && facts.publicExponent !== undefined) return facts;
  const { id, label } = JSON.parse(publicRef) as { id?: string; label?: string };
  const ask = {
    classes: [CKO.publicKey],
    ...(id !== undefined && { id }),
    ...(label !== undefined && { label }),
  };
  const { answer } = await pool.call("find", ask, { context, signal });
  const found = answer.keys.find(({ keyType }) => keyType === facts.keyType) ?? facts;
  if (found.ecPoint === undefined && found.modulus === undefined) {
    throw fail("ERR_UNSUPPORTED", "The token does not have the public half of the key", context);
  }
  return found;
}

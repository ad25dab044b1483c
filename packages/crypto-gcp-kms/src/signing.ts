import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import {
  type Bytes,
  type CryptoProvider,
  type KeyRequest,
  normalizeLowS,
  type Operation,
  type Signable,
  type SignatureAlgorithm,
  signatureFromDer,
  toPlain,
  verifySignature,
} from "@lango/crypto-core";
import type { AlgorithmFacts } from "./algorithms.ts";
import {
  checksumOf,
  IntegrityMismatch,
  requireFlag,
  requireName,
  verifiedBytes,
  verifyChecksum,
  withIntegrity,
} from "./checksum.ts";
import { fail } from "./errors.ts";
import type { KeyName } from "./names.ts";
import type { Scope, Service } from "./service.ts";
import type { Version, Versions } from "./versions.ts";

type Signing = Required<
  Pick<CryptoProvider, "sign" | "verify" | "mac" | "verifyMac" | "getPublicKey">
>;
type Versioned = KeyRequest & { readonly keyVersion?: string | undefined };

/** Largest message that the service signs or authenticates itself, in bytes; HSMs take less for a MAC. */
const MAX_DATA_BYTES = 65_536;
const MAX_HSM_MAC_BYTES = 16_384;

/** The operations of signing and MAC keys, which take versions and not keys. */
export const createSigning = (service: Service, versions: Versions): Signing => {
  const withVersion = <T>(
    operation: Operation,
    request: Versioned,
    usage: "signing" | "mac",
    work: (version: Version, scope: Scope) => Promise<T>,
  ): Promise<T> =>
    service.run(operation, request, (scope) => {
      const name = pinned(service.keyOf(request.keyId), request.keyVersion, scope);
      return versions.with(name, usage, scope, (version) =>
        withIntegrity(() => work(version, scope)),
      );
    });

  const publicKeyOf = async (version: Version, scope: Scope): Promise<KeyObject> => {
    const response = await service.call("getPublicKey", { name: version.name }, scope);
    requireName(response.name, version.name);
    if (response.algorithm !== version.algorithm) {
      throw new IntegrityMismatch("the public key is of another algorithm");
    }
    const pem = response.pem ?? "";
    verifyChecksum("the public key", Buffer.from(pem), response.pemCrc32c);
    return readable("the public key is no PEM", () => createPublicKey(pem));
  };

  return {
    sign: (request) =>
      withVersion("sign", request, "signing", async (version, scope) => {
        const facts = version.facts!;
        const algorithm = schemeOf(version, request.algorithm, scope);
        const input = inputOf(version, request, scope);
        const response = await service.call(
          "asymmetricSign",
          { name: version.name, ...input.fields },
          scope,
        );
        requireName(response.name, version.name);
        requireFlag(
          "what is to be signed",
          input.hashed ? response.verifiedDigestCrc32c : response.verifiedDataCrc32c,
        );
        const raw = verifiedBytes("signature", response.signature, response.signatureCrc32c);
        const signature = encodeSignature(raw, facts);
        return { signature, algorithm, keyId: version.key, keyVersion: version.number };
      }),

    verify: (request) =>
      withVersion("verify", request, "signing", async (version, scope) => {
        const algorithm = schemeOf(version, request.algorithm, scope);
        if (request.digest !== undefined) {
          const message = "Cloud KMS verifies nothing, and Node verifies messages, not digests";
          throw fail("ERR_UNSUPPORTED", message, scope, "Give the message");
        }
        const key = await publicKeyOf(version, scope);
        return verifySignature(algorithm, key, request.message, request.signature);
      }),

    getPublicKey: (request) =>
      withVersion("getPublicKey", request, "signing", async (version, scope) => {
        const key = await publicKeyOf(version, scope);
        return {
          publicKey: toPlain(key.export({ type: "spki", format: "der" })),
          algorithm: version.facts!.algorithm,
          keyId: version.key,
          keyVersion: version.number,
        };
      }),

    mac: (request) =>
      withVersion("mac", request, "mac", async (version, scope) => {
        const data = macData(version, request.message, scope);
        const response = await service.call("macSign", { name: version.name, ...data }, scope);
        requireName(response.name, version.name);
        requireFlag("the message", response.verifiedDataCrc32c);
        return {
          mac: verifiedBytes("MAC", response.mac, response.macCrc32c),
          algorithm: version.facts!.mac!.algorithm,
          keyId: version.key,
          keyVersion: version.number,
        };
      }),

    verifyMac: (request) =>
      withVersion("verifyMac", request, "mac", async (version, scope) => {
        const data = macData(version, request.message, scope);
        // The service calls another length a wrong argument.
        if (request.mac.length !== version.facts!.mac!.bytes) return false;
        const response = await service.call(
          "macVerify",
          { name: version.name, ...data, mac: request.mac, macCrc32c: checksumOf(request.mac) },
          scope,
        );
        requireName(response.name, version.name);
        requireFlag("the message", response.verifiedDataCrc32c);
        requireFlag("the MAC", response.verifiedMacCrc32c);
        const success = response.success === true;
        if ((response.verifiedSuccessIntegrity === true) !== success) {
          throw new IntegrityMismatch("the result contradicts its integrity field");
        }
        return success;
      }),
  };
};

/** The key of a request with the version that it names in either place. */
const pinned = (name: KeyName, keyVersion: string | undefined, scope: Scope): KeyName => {
  if (keyVersion === undefined || keyVersion === name.version) return name;
  if (name.version !== undefined) {
    throw fail("ERR_INVALID_ARGUMENT", "keyId and keyVersion name different versions", scope);
  }
  if (/^[1-9][0-9]{0,18}$/.test(keyVersion)) return { ...name, version: keyVersion };
  throw fail("ERR_KEY_NOT_FOUND", `Key ${name.key} has no such version: they are numbers`, scope);
};

const schemeOf = (
  { key, facts }: Version,
  asked: SignatureAlgorithm | undefined,
  scope: Scope,
): SignatureAlgorithm => {
  const scheme = facts!.signature!;
  if (asked === undefined || asked === scheme) return scheme;
  throw fail("ERR_UNSUPPORTED", `Key ${key} signs with ${scheme}, not with ${asked}`, scope);
};

type SignFields =
  | {
      readonly digest: Readonly<Record<string, Uint8Array>>;
      readonly digestCrc32c: { readonly value: number };
    }
  | { readonly data: Uint8Array; readonly dataCrc32c: { readonly value: number } };

/** What the service is to sign. It gets digests where it takes them: the message need not leave the process. */
const inputOf = (
  { key, facts, protectionLevel }: Version,
  { message, digest }: Signable,
  scope: Scope,
): { readonly hashed: boolean; readonly fields: SignFields } => {
  const { hash } = facts!;
  if (hash === undefined || protectionLevel.startsWith("EXTERNAL")) {
    if (message === undefined) {
      throw fail("ERR_UNSUPPORTED", `Key ${key} signs messages, not digests`, scope);
    }
    checkLength(message, MAX_DATA_BYTES, scope);
    return { hashed: false, fields: { data: message, dataCrc32c: checksumOf(message) } };
  }
  const bytes = digest ?? createHash(hash).update(message).digest();
  const expected = Number(hash.slice(3)) / 8;
  if (bytes.length !== expected) {
    const text = `Key ${key} signs ${hash} digests of ${expected} bytes, not of ${bytes.length}`;
    throw fail("ERR_INVALID_ARGUMENT", text, scope);
  }
  return { hashed: true, fields: { digest: { [hash]: bytes }, digestCrc32c: checksumOf(bytes) } };
};

const macData = (
  { protectionLevel }: Version,
  message: Uint8Array,
  scope: Scope,
): { readonly data: Uint8Array; readonly dataCrc32c: { readonly value: number } } => {
  checkLength(
    message,
    protectionLevel.startsWith("HSM") ? MAX_HSM_MAC_BYTES : MAX_DATA_BYTES,
    scope,
  );
  return { data: message, dataCrc32c: checksumOf(message) };
};

const checkLength = ({ length }: Uint8Array, max: number, scope: Scope): void => {
  if (length <= max) return;
  throw fail("ERR_INVALID_ARGUMENT", `The message has ${length} bytes; ${max} is the most`, scope);
};

const encodeSignature = (raw: Bytes, { ecdsa }: AlgorithmFacts): Bytes => {
  if (ecdsa === undefined) return raw;
  const signature = readable("the signature is no DER", () => signatureFromDer(raw, ecdsa));
  // Chains take the low s alone; HSMs give either.
  return ecdsa === "secp256k1" ? normalizeLowS(signature, ecdsa) : signature;
};

/** A response with the right checksum that cannot be read is no more use than one with a wrong one. */
const readable = <T>(fault: string, read: () => T): T => {
  try {
    return read();
  } catch {
    throw new IntegrityMismatch(fault);
  }
};

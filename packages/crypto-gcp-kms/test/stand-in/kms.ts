import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPublicKey,
  randomBytes,
  timingSafeEqual,
} from "node:crypto";
import { crc } from "./crc.ts";
import {
  checkEnabled,
  checkPurpose,
  Fault,
  keyView,
  type Resources,
  type StoredVersion,
  versionView,
} from "./resources.ts";
import { signDigest, signMessage } from "./signatures.ts";

/** A request or a response: camelCase names, bytes as `Uint8Array`, checksums as `{ value }` or `null`. */
// biome-ignore lint/suspicious/noExplicitAny: the shapes are those of the service's protos.
export type Message = Record<string, any>;
/** The operations of the service by their names in the SDK. */
export type Handlers = Readonly<Record<string, (request: Message) => Message | Promise<Message>>>;

const KIB = 1024;
const NONE = new Uint8Array();
const UNSPECIFIED_FORMAT = "PUBLIC_KEY_FORMAT_UNSPECIFIED";

/**
 * Cloud KMS as its API reference describes it, with real ciphers: checksums, names, purposes, states, versions, AAD and
 * sizes are enforced. It is ours, so it shows that the provider does what we understood, not that we understood.
 */
export const createKms = (resources: Resources): Handlers => ({
  encrypt(request) {
    const { name } = request;
    const plaintext: Uint8Array = request["plaintext"] ?? NONE;
    const aad: Uint8Array = request["additionalAuthenticatedData"] ?? NONE;
    const pinned = /\/cryptoKeyVersions\/\d+$/.test(name);
    const key = pinned ? resources.version(name).key : resources.key(name);
    checkPurpose(key, "ENCRYPT_DECRYPT");
    const version = pinned
      ? resources.version(name).version
      : key.versions.find(({ number }) => number === key.primary);
    if (version === undefined)
      throw new Fault("FAILED_PRECONDITION", `${name} has no primary version.`);
    checkEnabled(version);
    checkSealSizes(version, plaintext, aad);
    const flags = {
      verifiedPlaintextCrc32c: verified(request, "plaintext", plaintext),
      verifiedAdditionalAuthenticatedDataCrc32c: verified(
        request,
        "additionalAuthenticatedData",
        aad,
      ),
    };
    const header = Buffer.alloc(5, 1);
    header.writeUInt32BE(version.number, 1);
    const iv = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", version.material, iv).setAAD(
      Buffer.concat([header, aad]),
    );
    const body = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    const ciphertext = Buffer.concat([header, iv, body]);
    return {
      name: version.name,
      ...checked("ciphertext", ciphertext),
      ...flags,
      ...levelOf(version),
    };
  },

  decrypt(request) {
    const key = resources.key(request["name"]);
    checkPurpose(key, "ENCRYPT_DECRYPT");
    const ciphertext = Buffer.from(request["ciphertext"] ?? NONE);
    const aad: Uint8Array = request["additionalAuthenticatedData"] ?? NONE;
    verified(request, "ciphertext", ciphertext);
    verified(request, "additionalAuthenticatedData", aad);
    const invalid = new Fault("INVALID_ARGUMENT", "Decryption failed: the ciphertext is invalid.");
    if (ciphertext.length < 33 || ciphertext[0] !== 1) throw invalid;
    const version = key.versions.find(({ number }) => number === ciphertext.readUInt32BE(1));
    if (version === undefined) throw invalid;
    checkEnabled(version);
    const decipher = createDecipheriv("aes-256-gcm", version.material, ciphertext.subarray(5, 17))
      .setAAD(Buffer.concat([ciphertext.subarray(0, 5), aad]))
      .setAuthTag(ciphertext.subarray(-16));
    try {
      const plaintext = Buffer.concat([
        decipher.update(ciphertext.subarray(17, -16)),
        decipher.final(),
      ]);
      const usedPrimary = version.number === key.primary;
      return { ...checked("plaintext", plaintext), usedPrimary, ...levelOf(version) };
    } catch {
      throw new Fault(
        "INVALID_ARGUMENT",
        "Decryption failed: verify that 'name' refers to the correct CryptoKey.",
      );
    }
  },

  asymmetricSign(request) {
    const { version } = resources.usable(request["name"], "ASYMMETRIC_SIGN");
    const { algorithm, material } = version;
    if (algorithm === "EC_SIGN_ED25519") {
      const data = limited("data", request["data"], 64 * KIB);
      const verifiedDataCrc32c = verified(request, "data", data);
      if (request["digest"])
        throw new Fault("INVALID_ARGUMENT", `${algorithm} takes data, not a digest.`);
      const signature = signMessage(material, data);
      return {
        name: version.name,
        ...checked("signature", signature),
        verifiedDataCrc32c,
        ...levelOf(version),
      };
    }
    const hash = algorithm.slice(algorithm.lastIndexOf("_") + 1).toLowerCase();
    const digest: Uint8Array | undefined = request["digest"]?.[hash];
    if (digest?.length !== Number(hash.slice(3)) / 8) {
      throw new Fault("INVALID_ARGUMENT", `${algorithm} takes a ${hash} digest.`);
    }
    const verifiedDigestCrc32c = verified(request, "digest", digest);
    const signature = signDigest(algorithm, material, digest);
    return {
      name: version.name,
      ...checked("signature", signature),
      verifiedDigestCrc32c,
      ...levelOf(version),
    };
  },

  macSign(request) {
    const { version } = resources.usable(request["name"], "MAC");
    const data = limited("data", request["data"], macLimit(version));
    const verifiedDataCrc32c = verified(request, "data", data);
    return {
      name: version.name,
      ...checked("mac", macOf(version, data)),
      verifiedDataCrc32c,
      ...levelOf(version),
    };
  },

  macVerify(request) {
    const { version } = resources.usable(request["name"], "MAC");
    const data = limited("data", request["data"], macLimit(version));
    const mac: Uint8Array = request["mac"] ?? NONE;
    const verifiedDataCrc32c = verified(request, "data", data);
    const verifiedMacCrc32c = verified(request, "mac", mac);
    const expected = macOf(version, data);
    if (mac.length !== expected.length)
      throw new Fault("INVALID_ARGUMENT", "mac has a wrong length.");
    const success = timingSafeEqual(mac, expected);
    return {
      name: version.name,
      success,
      verifiedDataCrc32c,
      verifiedMacCrc32c,
      verifiedSuccessIntegrity: success,
      ...levelOf(version),
    };
  },

  getPublicKey({ name, publicKeyFormat = UNSPECIFIED_FORMAT }) {
    const { version } = resources.usable(name, "ASYMMETRIC_SIGN");
    const { algorithm } = version;
    const pem = createPublicKey(version.material).export({ type: "spki", format: "pem" }) as string;
    const data = Buffer.from(pem);
    const checksum = { value: String(crc(data)) };
    const key = { name, algorithm, pem, pemCrc32c: checksum, ...levelOf(version) };
    if (publicKeyFormat === UNSPECIFIED_FORMAT) return key;
    if (publicKeyFormat !== "PEM") {
      throw new Fault("INVALID_ARGUMENT", `${algorithm} has no ${publicKeyFormat}.`);
    }
    return { ...key, publicKeyFormat, publicKey: { data, crc32cChecksum: checksum } };
  },

  generateRandomBytes({ location, lengthBytes, protectionLevel }) {
    if (!/^projects\/[^/]+\/locations\/[^/]+$/.test(location)) {
      throw new Fault("INVALID_ARGUMENT", "Invalid location");
    }
    if (protectionLevel !== "HSM") throw new Fault("INVALID_ARGUMENT", "Only HSM is supported.");
    if (lengthBytes < 8 || lengthBytes > 1024) {
      throw new Fault("INVALID_ARGUMENT", "lengthBytes must be from 8 to 1024.");
    }
    return checked("data", randomBytes(lengthBytes));
  },

  getKeyRing({ name }) {
    resources.checkRing(name);
    return { name };
  },
  getCryptoKey: ({ name }) => keyView(resources.key(name)),
  getCryptoKeyVersion: ({ name }) => versionView(resources.version(name).version),

  listCryptoKeys(request) {
    resources.checkRing(request["parent"]);
    const keys = [...resources.keys.values()].filter(({ name }) =>
      name.startsWith(`${request["parent"]}/cryptoKeys/`),
    );
    const { items, ...page } = paged(request, keys);
    return { cryptoKeys: items.map(keyView), ...page };
  },
  listCryptoKeyVersions(request) {
    // By name, as text: 10 comes before 9, and the newest is not the last.
    const { versions } = resources.key(request["parent"]);
    const sorted = [...versions].sort((a, b) => (a.name < b.name ? -1 : 1));
    const { items, ...page } = paged(request, sorted);
    return { cryptoKeyVersions: items.map(versionView), ...page };
  },

  createCryptoKey: async ({ parent, cryptoKeyId, cryptoKey }) =>
    keyView(await resources.createKey(parent, cryptoKeyId, cryptoKey ?? {})),
  createCryptoKeyVersion: async ({ parent }) =>
    versionView(await resources.addVersion(resources.key(parent))),
  updateCryptoKeyPrimaryVersion({ name, cryptoKeyVersionId }) {
    const key = resources.key(name);
    checkPurpose(key, "ENCRYPT_DECRYPT");
    checkEnabled(resources.version(`${name}/cryptoKeyVersions/${cryptoKeyVersionId}`).version);
    key.primary = Number(cryptoKeyVersionId);
    return keyView(key);
  },
  updateCryptoKeyVersion({ cryptoKeyVersion, updateMask }) {
    if (updateMask?.paths?.join() !== "state") throw new Fault("INVALID_ARGUMENT", "Only state");
    const { version } = resources.version(cryptoKeyVersion.name);
    version.state = cryptoKeyVersion.state;
    return versionView(version);
  },
});

const checkSealSizes = (
  { protectionLevel }: StoredVersion,
  plaintext: Uint8Array,
  aad: Uint8Array,
): void => {
  if (protectionLevel === "HSM" && plaintext.length + aad.length > 8 * KIB) {
    throw new Fault("INVALID_ARGUMENT", "plaintext and AAD together may have 8 KiB.");
  }
  limited("plaintext", plaintext, 64 * KIB);
  limited("additionalAuthenticatedData", aad, 64 * KIB);
};

const limited = (field: string, bytes: Uint8Array | undefined, max: number): Uint8Array => {
  const value = bytes ?? NONE;
  if (value.length > max) throw new Fault("INVALID_ARGUMENT", `${field} is larger than ${max}.`);
  return value;
};

const macLimit = ({ protectionLevel }: StoredVersion): number =>
  protectionLevel === "HSM" ? 16 * KIB : 64 * KIB;

const macOf = ({ algorithm, material }: StoredVersion, data: Uint8Array): Buffer =>
  createHmac(algorithm.slice("HMAC_".length).toLowerCase(), material).update(data).digest();

/** Compares the checksum of a request field: false if there is none, as the service says. */
const verified = (request: Message, field: string, bytes: Uint8Array): boolean => {
  const sent = request[`${field}Crc32c`];
  if (sent === null || sent === undefined) return false;
  if (Number(sent.value) === crc(bytes)) return true;
  const name = field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  throw new Fault(
    "INVALID_ARGUMENT",
    `The checksum in field ${name}_crc32c did not match the data in field ${name}.`,
  );
};

const checked = (field: string, bytes: Uint8Array): Message => ({
  [field]: bytes,
  [`${field}Crc32c`]: { value: String(crc(bytes)) },
});

const levelOf = ({ protectionLevel }: StoredVersion): Message => ({ protectionLevel });

/** Pages of at most three, so that every listing has several. */
const paged = <T>(
  request: Message,
  all: readonly T[],
): { items: T[]; nextPageToken: string; totalSize: number } => {
  const start = Number(request["pageToken"] || 0);
  const end = start + Math.min(request["pageSize"] || 3, 3);
  const nextPageToken = end < all.length ? String(end) : "";
  return { items: all.slice(start, end), nextPageToken, totalSize: all.length };
};

import { createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import type { Message } from "./kms.ts";
import { makePrivateKey } from "./signatures.ts";

/** What the stand-in answers in place of a response. */
export class Fault extends Error {
  readonly code: keyof typeof CODES;
  constructor(code: keyof typeof CODES, message: string) {
    super(message);
    this.code = code;
  }
}
/** gRPC status codes and the HTTP status that the service gives with each. */
export const CODES = {
  CANCELLED: [1, 499],
  UNKNOWN: [2, 500],
  INVALID_ARGUMENT: [3, 400],
  DEADLINE_EXCEEDED: [4, 504],
  NOT_FOUND: [5, 404],
  ALREADY_EXISTS: [6, 409],
  PERMISSION_DENIED: [7, 403],
  RESOURCE_EXHAUSTED: [8, 429],
  FAILED_PRECONDITION: [9, 400],
  ABORTED: [10, 409],
  OUT_OF_RANGE: [11, 400],
  UNIMPLEMENTED: [12, 501],
  INTERNAL: [13, 500],
  UNAVAILABLE: [14, 503],
  DATA_LOSS: [15, 500],
  UNAUTHENTICATED: [16, 401],
} as const;

export interface StoredVersion {
  readonly name: string;
  readonly number: number;
  state: string;
  readonly algorithm: string;
  readonly protectionLevel: string;
  readonly createTime: { seconds: string; nanos: number };
  readonly material: KeyObject;
  /** Answers that still say PENDING_GENERATION. */
  pendingPolls: number;
}
export interface StoredKey {
  readonly name: string;
  readonly purpose: string;
  readonly algorithm: string;
  readonly protectionLevel: string;
  readonly createTime: { seconds: string; nanos: number };
  readonly versions: StoredVersion[];
  primary: number | undefined;
}

const RING = /^projects\/[^/]+\/locations\/[^/]+\/keyRings\/[^/]+$/;
const KEY = /^(projects\/[^/]+\/locations\/[^/]+\/keyRings\/[^/]+)\/cryptoKeys\/[^/]+$/;
const VERSION =
  /^(projects\/[^/]+\/locations\/[^/]+\/keyRings\/[^/]+\/cryptoKeys\/[^/]+)\/cryptoKeyVersions\/(\d+)$/;
const PURPOSE_OF: readonly [RegExp, string][] = [
  [/^GOOGLE_SYMMETRIC_ENCRYPTION$/, "ENCRYPT_DECRYPT"],
  [/^(EC|RSA)_SIGN_/, "ASYMMETRIC_SIGN"],
  [/^HMAC_/, "MAC"],
  [/^RSA_DECRYPT_/, "ASYMMETRIC_DECRYPT"],
];

/** Keys and their versions, by name. Key rings need not be made. */
export class Resources {
  readonly keys = new Map<string, StoredKey>();
  /** How many polls a new version stays PENDING_GENERATION. */
  pendingPolls = 0;

  checkRing(name: string): void {
    if (!RING.test(name)) throw new Fault("INVALID_ARGUMENT", `Invalid parent: ${name}`);
  }

  async createKey(ring: string, id: string, fields: Message): Promise<StoredKey> {
    this.checkRing(ring);
    if (!/^[a-zA-Z0-9_-]{1,63}$/.test(id))
      throw new Fault("INVALID_ARGUMENT", "Invalid cryptoKeyId");
    const name = `${ring}/cryptoKeys/${id}`;
    if (this.keys.has(name)) throw new Fault("ALREADY_EXISTS", `CryptoKey ${name} already exists.`);
    const { purpose, versionTemplate } = fields as { purpose: string; versionTemplate?: Message };
    const { algorithm = "GOOGLE_SYMMETRIC_ENCRYPTION", protectionLevel = "SOFTWARE" } =
      versionTemplate ?? {};
    const fits = PURPOSE_OF.some(([pattern, of]) => of === purpose && pattern.test(algorithm));
    if (!fits) throw new Fault("INVALID_ARGUMENT", `${algorithm} is not for ${purpose}`);
    if (/SECP256K1/.test(algorithm) && protectionLevel !== "HSM") {
      throw new Fault("INVALID_ARGUMENT", `${algorithm} is for HSM protection only`);
    }
    const key: StoredKey = {
      name,
      purpose,
      algorithm,
      protectionLevel:
        protectionLevel === "PROTECTION_LEVEL_UNSPECIFIED" ? "SOFTWARE" : protectionLevel,
      createTime: now(),
      versions: [],
      primary: undefined,
    };
    this.keys.set(name, key);
    await this.addVersion(key);
    if (purpose === "ENCRYPT_DECRYPT") key.primary = 1;
    return key;
  }

  async addVersion(key: StoredKey): Promise<StoredVersion> {
    const number = key.versions.length + 1;
    const version: StoredVersion = {
      name: `${key.name}/cryptoKeyVersions/${number}`,
      number,
      state: this.pendingPolls > 0 ? "PENDING_GENERATION" : "ENABLED",
      algorithm: key.algorithm,
      protectionLevel: key.protectionLevel,
      createTime: now(),
      material: await makeMaterial(key.algorithm),
      pendingPolls: this.pendingPolls,
    };
    key.versions.push(version);
    return version;
  }

  key(name: string): StoredKey {
    if (!KEY.test(name)) throw new Fault("INVALID_ARGUMENT", `Invalid name: ${name}`);
    const key = this.keys.get(name);
    if (key === undefined) throw new Fault("NOT_FOUND", `CryptoKey ${name} not found.`);
    return key;
  }

  version(name: string): { key: StoredKey; version: StoredVersion } {
    const [, keyName, number] = VERSION.exec(name) ?? [];
    if (keyName === undefined) throw new Fault("INVALID_ARGUMENT", `Invalid name: ${name}`);
    const key = this.key(keyName);
    const version = key.versions.find((each) => each.number === Number(number));
    if (version === undefined) throw new Fault("NOT_FOUND", `CryptoKeyVersion ${name} not found.`);
    return { key, version };
  }

  /** A version that may do something. */
  usable(name: string, purpose: string): { key: StoredKey; version: StoredVersion } {
    const found = this.version(name);
    checkPurpose(found.key, purpose);
    checkEnabled(found.version);
    return found;
  }
}

export const checkPurpose = ({ name, purpose }: StoredKey, expected: string): void => {
  if (purpose === expected) return;
  throw new Fault(
    "FAILED_PRECONDITION",
    `${name} has purpose ${purpose}, but ${expected} is needed.`,
  );
};

export const checkEnabled = ({ name, state }: StoredVersion): void => {
  if (state === "ENABLED") return;
  throw new Fault("FAILED_PRECONDITION", `${name} is not enabled, current state is: ${state}.`);
};

/** A version as it is sent; a pending one becomes enabled when it has been asked for often enough. */
export const versionView = (version: StoredVersion): Record<string, unknown> => {
  if (version.state === "PENDING_GENERATION" && version.pendingPolls-- <= 0)
    version.state = "ENABLED";
  const { name, state, algorithm, protectionLevel, createTime } = version;
  return { name, state, algorithm, protectionLevel, createTime };
};

export const keyView = (key: StoredKey): Record<string, unknown> => {
  const { name, purpose, createTime, algorithm, protectionLevel } = key;
  const primary = key.versions.find(({ number }) => number === key.primary);
  return {
    name,
    purpose,
    createTime,
    versionTemplate: { algorithm, protectionLevel },
    ...(primary !== undefined && { primary: versionView(primary) }),
  };
};

const makeMaterial = async (algorithm: string): Promise<KeyObject> => {
  if (/^(EC|RSA)_SIGN_/.test(algorithm)) return await makePrivateKey(algorithm);
  const bits = Number(/^HMAC_SHA(\d+)$/.exec(algorithm)?.[1] ?? 256);
  return createSecretKey(randomBytes(bits / 8));
};

const now = (): { seconds: string; nanos: number } => {
  const ms = Date.now();
  return { seconds: String(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1e6 };
};

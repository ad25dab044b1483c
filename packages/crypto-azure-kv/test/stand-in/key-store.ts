import { generateKeyPair, type KeyObject, randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { badParameter, notFound, ServiceError } from "./service-error.ts";

const generate = promisify(generateKeyPair);

const CURVES: Readonly<Record<string, string>> = {
  "P-256": "P-256",
  "P-384": "P-384",
  "P-521": "P-521",
  "P-256K": "secp256k1",
};

/** One version of a key of the stand-in. */
export interface Version {
  readonly version: string;
  readonly kty: string;
  readonly crv: string | undefined;
  readonly size: number | undefined;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  keyOps: readonly string[];
  attributes: { enabled: boolean; nbf?: number; exp?: number; created: number; updated: number };
}

export interface NewKey {
  readonly kty: string;
  readonly crv?: string;
  readonly key_size?: number;
  readonly key_ops?: readonly string[];
  readonly attributes?: {
    readonly enabled?: boolean;
    readonly nbf?: number;
    readonly exp?: number;
  };
}

/** The keys of one vault: versions in the order of creation, deleted keys that keep their names. */
export interface KeyStore {
  create(name: string, key: NewKey): Promise<Version>;
  rotate(name: string): Promise<Version>;
  /** @param version - Default: the newest. */
  get(name: string, version?: string): Version;
  versions(name: string): readonly Version[];
  names(): readonly string[];
  update(
    name: string,
    version: string | undefined,
    changes: { key_ops?: readonly string[]; attributes?: Partial<Version["attributes"]> },
  ): Version;
  delete(name: string): Version;
  deletedNames(): readonly string[];
  /** The newest version of a deleted key. */
  getDeleted(name: string): Version;
  recover(name: string): Version;
  purge(name: string): void;
}

const RSA_OPS = ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"];

export function createKeyStore(managedHsm: boolean): KeyStore {
  // Names are case-insensitive; they are shown as they were first written.
  const keys = new Map<string, { name: string; versions: Version[] }>();
  const deleted = new Set<string>();
  // Large keys take seconds of CPU; that two keys of the stand-in are equal is of no matter there.
  const large = new Map<number, Promise<{ privateKey: KeyObject; publicKey: KeyObject }>>();

  const pairOf = ({ kty, crv, key_size: size = 2048 }: NewKey) => {
    const type = kty.replace(/-HSM$/, "");
    if (managedHsm !== kty.endsWith("-HSM") && managedHsm) {
      throw badParameter(`Key type ${kty} is not supported by Managed HSM`);
    }
    if (type === "EC") {
      const namedCurve = CURVES[crv ?? "P-256"];
      if (namedCurve === undefined) throw badParameter(`Curve ${crv} is not supported`);
      return generate("ec", { namedCurve });
    }
    if (type !== "RSA" || ![2048, 3072, 4096].includes(size)) {
      throw badParameter(`Key type ${kty} of ${size} bits is not supported`);
    }
    if (size === 2048) return generate("rsa", { modulusLength: size });
    const pair = large.get(size) ?? generate("rsa", { modulusLength: size });
    large.set(size, pair);
    return pair;
  };

  const add = async (name: string, key: NewKey): Promise<Version> => {
    const { kty, crv, key_size, key_ops, attributes = {} } = key;
    const pair = await pairOf(key);
    const now = Math.floor(Date.now() / 1000);
    const isEc = kty.startsWith("EC");
    const version: Version = {
      version: randomBytes(16).toString("hex"),
      kty,
      crv: isEc ? (crv ?? "P-256") : undefined,
      size: isEc ? undefined : (key_size ?? 2048),
      ...pair,
      keyOps: key_ops ?? (isEc ? ["sign", "verify"] : RSA_OPS),
      attributes: { enabled: true, ...attributes, created: now, updated: now },
    };
    const id = name.toLowerCase();
    const entry = keys.get(id) ?? { name, versions: [] };
    entry.versions.push(version);
    keys.set(id, entry);
    return version;
  };

  const entryOf = (name: string) => {
    const entry = keys.get(name.toLowerCase());
    if (entry === undefined || deleted.has(name.toLowerCase())) throw notFound(name);
    return entry;
  };

  const getDeleted = (name: string): Version => {
    if (!deleted.has(name.toLowerCase())) throw notFound(name);
    return keys.get(name.toLowerCase())!.versions.at(-1)!;
  };

  const get = (name: string, version?: string): Version => {
    const { versions } = entryOf(name);
    const found =
      version === undefined ? versions.at(-1) : versions.find((each) => each.version === version);
    if (found === undefined) throw notFound(`${name}/${version}`);
    return found;
  };

  return {
    get,
    getDeleted,
    async create(name, key) {
      if (deleted.has(name.toLowerCase())) {
        const message = `Key ${name} is currently in a deleted but recoverable state, and its name cannot be reused.`;
        throw new ServiceError(409, "Conflict", message, "ObjectIsDeletedButRecoverable");
      }
      return await add(name, key);
    },
    async rotate(name) {
      const { kty, crv, size, keyOps } = get(name);
      return await add(name, {
        kty,
        key_ops: keyOps,
        ...(crv !== undefined && { crv }),
        ...(size !== undefined && { key_size: size }),
      });
    },
    versions: (name) => entryOf(name).versions,
    names: () => [...keys].filter(([id]) => !deleted.has(id)).map(([, entry]) => entry.name),
    update(name, version, { key_ops, attributes }) {
      const found = get(name, version);
      if (key_ops !== undefined) found.keyOps = key_ops;
      found.attributes = { ...found.attributes, ...attributes };
      return found;
    },
    delete(name) {
      const found = get(name);
      deleted.add(name.toLowerCase());
      return found;
    },
    deletedNames: () => [...deleted].map((id) => keys.get(id)!.name),
    recover(name) {
      const found = getDeleted(name);
      deleted.delete(name.toLowerCase());
      return found;
    },
    purge(name) {
      getDeleted(name);
      deleted.delete(name.toLowerCase());
      keys.delete(name.toLowerCase());
    },
  };
}

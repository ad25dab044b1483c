import type { KeyDescription, KeyState, KeyUsage, ProtectionLevel } from "@lango/crypto-core";
import { ALGORITHMS, type AlgorithmFacts, PURPOSES } from "./algorithms.ts";
import { requireName, requireVersion, withIntegrity } from "./checksum.ts";
import type { KeyResource, VersionResource } from "./client.ts";
import { type ErrorScope, fail, stateError } from "./errors.ts";
import { type KeyName, versionName } from "./names.ts";
import type { Scope, Service } from "./service.ts";

/** One version of a key. */
export interface Version {
  readonly key: string;
  /** Its whole resource name. */
  readonly name: string;
  readonly number: string;
  readonly state: string;
  /** The service's name of the algorithm, and what is known of it if this provider uses it. */
  readonly algorithm: string;
  readonly facts: AlgorithmFacts | undefined;
  readonly protectionLevel: string;
  readonly createdAt: number | undefined;
}

/** Finds versions, and remembers them for a short time. */
export interface Versions {
  /**
   * Runs `work` with the version that a request uses: the one that it names, else the newest enabled one. Once more with
   * a fresh look when it was a remembered one that is no longer usable.
   *
   * @throws `ERR_KEY_USAGE` for a key of another usage, `ERR_KEY_DISABLED`, `ERR_BUSY` while it is generated.
   */
  with<T>(
    key: KeyName,
    usage: KeyUsage,
    scope: Scope,
    work: (version: Version) => Promise<T>,
  ): Promise<T>;
  /** The version that `describeKey` shows, enabled or not; never a remembered one. */
  current(key: KeyName, scope: Scope): Promise<Version>;
  /** The same for a key whose resource is at hand. */
  currentOf(resource: KeyResource, scope: Scope): Promise<Version>;
  /** Drops what is remembered of a key. */
  forget(key: string): void;
}

/** Makes a look-up whose answers are remembered for `cacheMs`. */
export const createVersions = (service: Service, cacheMs: number): Versions => {
  const cache = new Map<string, { readonly version: Promise<Version>; readonly until: number }>();
  const cacheKey = ({ key, version }: KeyName): string =>
    version === undefined ? key : versionName(key, version);

  const get = async (key: string, version: string, scope: Scope): Promise<Version> => {
    const name = versionName(key, version);
    return await withIntegrity(async () =>
      readVersion(await service.call("getCryptoKeyVersion", { name }, scope), key),
    );
  };

  const newest = async (key: string, scope: Scope): Promise<Version> => {
    const versions: Version[] = [];
    let pageToken: string | undefined;
    do {
      const page = await service.pages("listCryptoKeyVersions", key, scope, pageToken);
      for (const resource of page.items) versions.push(readVersion(resource, key));
      pageToken = page.next;
    } while (pageToken !== undefined);
    const found = newestOf(versions);
    if (found === undefined) throw fail("ERR_KEY_DISABLED", `Key ${key} has no version`, scope);
    return found;
  };

  const lookUp = (name: KeyName, scope: Scope): Promise<Version> =>
    name.version === undefined
      ? withIntegrity(() => newest(name.key, scope))
      : get(name.key, name.version, scope);

  const isKnown = (name: KeyName): boolean =>
    performance.now() < (cache.get(cacheKey(name))?.until ?? 0);

  /** Shared by the calls that wait for it, so it does not end with the abort or the time of one of them. */
  const remembered = (name: KeyName, scope: Scope): Promise<Version> => {
    const id = cacheKey(name);
    if (isKnown(name)) return cache.get(id)!.version;
    // The oldest entries come first: a program with very many keys looks up more often, and that is all.
    if (cache.size >= MAX_REMEMBERED) cache.delete(cache.keys().next().value!);
    const version = lookUp(name, {
      ...scope,
      signal: undefined,
      remainingMs: () => LOOK_UP_TIMEOUT_MS,
    });
    const entry = { version, until: performance.now() + cacheMs };
    cache.set(id, entry);
    const drop = (): void => {
      if (cache.get(id) === entry) cache.delete(id);
    };
    // What cannot be used now may be usable soon.
    version.then(({ state }) => state === "ENABLED" || drop(), drop);
    return version;
  };

  const use = async (name: KeyName, usage: KeyUsage, scope: Scope): Promise<Version> =>
    usable(await remembered(name, scope), usage, scope);

  const forget = (key: string): void => {
    for (const id of cache.keys()) {
      if (id === key || id.startsWith(`${key}/`)) cache.delete(id);
    }
  };

  const currentOf = async (resource: KeyResource, scope: Scope): Promise<Version> => {
    const key = resource.name ?? "";
    return resource.purpose === PURPOSES.encryption && resource.primary
      ? readVersion(resource.primary, key)
      : await newest(key, scope);
  };

  return {
    async with(name, usage, scope, work) {
      const wasKnown = isKnown(name);
      try {
        return await work(await use(name, usage, scope));
      } catch (error) {
        if (!wasKnown || !isStale(error)) throw error;
        forget(name.key);
        return await work(await use(name, usage, scope));
      }
    },
    async current({ key, version }, scope) {
      if (version !== undefined) return await get(key, version, scope);
      return await withIntegrity(async () => {
        const resource = await service.call("getCryptoKey", { name: key }, scope);
        requireName(resource.name, key);
        return await currentOf(resource, scope);
      });
    },
    currentOf,
    forget,
  };
};

const MAX_REMEMBERED = 1000;
const LOOK_UP_TIMEOUT_MS = 10_000;

/** @throws `IntegrityMismatch` if it is no version of the key. */
export const readVersion = (resource: VersionResource, key: string): Version => {
  const number = requireVersion(resource.name, key);
  const algorithm = resource.algorithm ?? "";
  const seconds = Number(resource.createTime?.seconds);
  return {
    key,
    name: versionName(key, number),
    number,
    state: resource.state ?? "",
    algorithm,
    facts: Object.hasOwn(ALGORITHMS, algorithm) ? ALGORITHMS[algorithm] : undefined,
    protectionLevel: resource.protectionLevel ?? "",
    createdAt: Number.isFinite(seconds)
      ? seconds * 1000 + Math.floor(Number(resource.createTime?.nanos ?? 0) / 1e6)
      : undefined,
  };
};

/** What `describeKey` and `listKeys` say; `undefined` for a key of an algorithm that this provider does not use. */
export const describe = (version: Version): KeyDescription | undefined => {
  const { key, number, facts, createdAt } = version;
  if (facts === undefined) return undefined;
  return {
    keyId: key,
    keyVersion: number,
    algorithm: facts.algorithm,
    usage: facts.usage,
    state: stateOf(version),
    protection: protectionOf(version),
    ...(createdAt !== undefined && { createdAt }),
  };
};

/** The newest enabled version by number (10 is newer than 9), else one that will be, else whichever is newest. */
export const newestOf = (versions: readonly Version[]): Version | undefined => {
  const sorted = [...versions].sort((a, b) => Number(BigInt(b.number) - BigInt(a.number)));
  const first = (state: KeyState): Version | undefined =>
    sorted.find((version) => stateOf(version) === state);
  return first("enabled") ?? first("pending") ?? sorted[0];
};

const usable = (version: Version, usage: KeyUsage, scope: ErrorScope): Version => {
  const { key, name, state, facts, algorithm } = version;
  if (facts?.usage !== usage) {
    throw fail("ERR_KEY_USAGE", `Key ${key} is ${algorithm}, which is not for ${usage}`, scope);
  }
  if (state !== "ENABLED") throw stateError(name, state, scope);
  return version;
};

const STALE: ReadonlySet<unknown> = new Set(["ERR_KEY_DISABLED", "ERR_BUSY", "ERR_KEY_NOT_FOUND"]);
const isStale = (error: unknown): boolean =>
  error instanceof Error && "code" in error && STALE.has(error.code);

const stateOf = ({ state }: Version): KeyState => {
  if (state === "ENABLED") return "enabled";
  return /^PENDING_(GENERATION|IMPORT)$/.test(state) ? "pending" : "disabled";
};

// SOFTWARE is software in Google's data centre, EXTERNAL a key manager beyond it: neither is memory of this process.
const protectionOf = ({ protectionLevel }: Version): ProtectionLevel =>
  protectionLevel.startsWith("HSM") ? "hsm" : "remote";

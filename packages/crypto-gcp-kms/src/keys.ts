import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { CallOptions, CreateKeyRequest, KeyDescription, KeyRequest } from "@lango/crypto-core";
import { ALGORITHMS, NEW_KEYS, PURPOSES } from "./algorithms.ts";
import { requireName, withIntegrity } from "./checksum.ts";
import type { KeyResource } from "./client.ts";
import { fail } from "./errors.ts";
import { isShortKeyName, parseKeyName, versionName } from "./names.ts";
import type { Scope, Service } from "./service.ts";
import { describe, readVersion, type Version, type Versions } from "./versions.ts";

/** Where new key material lives. */
export type NewKeyProtection = "software" | "hsm";

/** Keys as resources: make, rotate, describe, list. */
export interface Keys {
  createKey(request: CreateKeyRequest): Promise<KeyDescription>;
  rotateKey(request: KeyRequest): Promise<KeyDescription>;
  describeKey(request: KeyRequest): Promise<KeyDescription>;
  listKeys(request: CallOptions): AsyncIterable<KeyDescription>;
}

interface KeysOptions {
  readonly service: Service;
  readonly versions: Versions;
  /** The key ring of `createKey` and `listKeys`, which are not offered without one. */
  readonly ring: string | undefined;
  readonly protection: NewKeyProtection;
}

export const createKeys = ({ service, versions, ring, protection }: KeysOptions): Keys => ({
  createKey: (request) =>
    service.run("createKey", request, async (scope) => {
      const { algorithm, usage, keyId = `lango-${randomUUID()}` } = request;
      const cryptoKeyId = newKeyName(keyId, ring!, scope);
      if (ALGORITHMS[NEW_KEYS[algorithm]]?.usage !== usage) {
        throw fail("ERR_UNSUPPORTED", `No new ${algorithm} key is for ${usage}`, scope);
      }
      const key = `${ring}/cryptoKeys/${cryptoKeyId}`;
      const created = await service.call(
        "createCryptoKey",
        {
          parent: ring!,
          cryptoKeyId,
          cryptoKey: {
            purpose: PURPOSES[usage],
            versionTemplate: {
              algorithm: NEW_KEYS[algorithm],
              // The service makes keys on this curve in HSMs alone.
              protectionLevel:
                protection === "hsm" || algorithm === "secp256k1" ? "HSM" : "SOFTWARE",
            },
          },
        },
        { ...scope, keyId: key },
      );
      requireName(created.name, key);
      return described(await untilEnabled(service, key, "1", { ...scope, keyId: key }), scope);
    }),

  rotateKey: (request) =>
    service.run("rotateKey", request, async (scope) => {
      const { key } = service.keyOf(request.keyId);
      const { purpose } = await readKey(service, key, scope);
      if (!Object.values(PURPOSES).includes(purpose ?? "")) {
        throw fail("ERR_UNSUPPORTED", `Key ${key} is for ${purpose}`, scope);
      }
      const made = await service.call(
        "createCryptoKeyVersion",
        { parent: key, cryptoKeyVersion: {} },
        scope,
      );
      const { number } = readVersion(made, key);
      const version = await untilEnabled(service, key, number, scope);
      if (purpose === PURPOSES.encryption) {
        const update = { name: key, cryptoKeyVersionId: number };
        const { primary } = await service.call("updateCryptoKeyPrimaryVersion", update, scope);
        requireName(primary?.name, version.name);
      }
      versions.forget(key);
      return described(version, scope);
    }),

  describeKey: (request) =>
    service.run("describeKey", request, async (scope) =>
      described(await versions.current(service.keyOf(request.keyId), scope), scope),
    ),

  async *listKeys(request) {
    let pageToken: string | undefined;
    do {
      const page = await service.run("listKeys", request, (scope) =>
        service.pages("listCryptoKeys", ring!, scope, pageToken),
      );
      for (const resource of page.items) {
        const key = await service.run("listKeys", request, (scope) =>
          listed(versions, resource, scope),
        );
        if (key !== undefined) yield key;
      }
      pageToken = page.next;
    } while (pageToken !== undefined);
  },
});

/** Leaves out what this provider could not use: other purposes, other algorithms, keys without a version. */
const listed = async (
  versions: Versions,
  resource: KeyResource,
  scope: Scope,
): Promise<KeyDescription | undefined> => {
  if (!Object.values(PURPOSES).includes(resource.purpose ?? "")) return undefined;
  try {
    const version = await withIntegrity(() => versions.currentOf(resource, scope));
    return describe(version);
  } catch (error) {
    // No version: nothing can be said of it, and nothing done with it.
    if (error instanceof Error && "code" in error && error.code === "ERR_KEY_DISABLED") return;
    throw error;
  }
};

const described = (version: Version, scope: Scope): KeyDescription => {
  const description = describe(version);
  if (description !== undefined) return description;
  const message = `Key ${version.key} is ${version.algorithm}, which this provider does not use`;
  throw fail("ERR_UNSUPPORTED", message, scope);
};

const readKey = (service: Service, key: string, scope: Scope): Promise<KeyResource> =>
  withIntegrity(async () => {
    const resource = await service.call("getCryptoKey", { name: key }, scope);
    requireName(resource.name, key);
    return resource;
  });

/** A short name, or a resource name in the key ring. */
const newKeyName = (keyId: string, ring: string, scope: Scope): string => {
  if (isShortKeyName(keyId)) return keyId;
  const name = parseKeyName(keyId);
  if (name?.ring === ring && name.version === undefined) {
    return name.key.slice(`${ring}/cryptoKeys/`.length);
  }
  throw fail(
    "ERR_INVALID_ARGUMENT",
    "A new key is named by 1 to 63 letters, digits, - and _, or by its resource name in the configured key ring",
    scope,
  );
};

const FIRST_POLL_MS = 100;
const MAX_POLL_MS = 2000;

/** HSMs take their time to generate: asks again, with a pause that doubles, until the time of the operation is over. */
const untilEnabled = async (
  service: Service,
  key: string,
  number: string,
  scope: Scope,
): Promise<Version> => {
  for (let pauseMs = FIRST_POLL_MS; ; pauseMs = Math.min(MAX_POLL_MS, 2 * pauseMs)) {
    const name = versionName(key, number);
    const version = await withIntegrity(async () =>
      readVersion(await service.call("getCryptoKeyVersion", { name }, scope), key),
    );
    if (version.state === "ENABLED") return version;
    if (version.state !== "PENDING_GENERATION") {
      throw fail("ERR_INTERNAL", `${name} was not generated: ${version.state}`, scope);
    }
    if (scope.remainingMs() <= pauseMs) {
      throw fail(
        "ERR_TIMEOUT",
        `${name} exists but is still being generated`,
        scope,
        "It becomes usable by itself: describeKey tells when",
      );
    }
    await sleep(pauseMs, undefined, scope.signal === undefined ? {} : { signal: scope.signal });
  }
};

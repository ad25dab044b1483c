import { CryptoError } from "@lango/crypto-core";

/** The parts of a key's resource name. */
export interface KeyName {
  /** `projects/P/locations/L`. */
  readonly location: string;
  /** `projects/P/locations/L/keyRings/R`. */
  readonly ring: string;
  /** `projects/P/locations/L/keyRings/R/cryptoKeys/K`: the canonical key id. */
  readonly key: string;
  /** The number of the version that the name pins. */
  readonly version: string | undefined;
}

const LOCATION = "projects/(?:[a-z0-9.-]+:)?[a-z0-9-]{1,63}/locations/[a-z0-9-]{1,63}";
const RING = `${LOCATION}/keyRings/[a-zA-Z0-9_-]{1,63}`;
const KEY_PATTERN: RegExp = new RegExp(
  `^(((${LOCATION})/keyRings/[a-zA-Z0-9_-]{1,63})/cryptoKeys/[a-zA-Z0-9_-]{1,63})(?:/cryptoKeyVersions/([1-9][0-9]{0,18}))?$`,
);
const RING_PATTERN: RegExp = new RegExp(`^${RING}$`);
const SHORT = /^[a-zA-Z0-9_-]{1,63}$/;

/** Reads a key's resource name, with or without a version; `undefined` for anything else. */
export const parseKeyName = (name: string): KeyName | undefined => {
  const [, key, ring, location, version] = KEY_PATTERN.exec(name) ?? [];
  if (key === undefined || ring === undefined || location === undefined) return undefined;
  return { location, ring, key, version };
};

/** Whether it is `projects/P/locations/L/keyRings/R`. */
export const isKeyRingName = (name: string): boolean => RING_PATTERN.test(name);

/** Whether it can name a key within its key ring. */
export const isShortKeyName = (name: string): boolean => SHORT.test(name);

/** The resource name of a version. */
export const versionName = (key: string, version: string): string =>
  `${key}/cryptoKeyVersions/${version}`;

/**
 * Reads the key id of a request: a resource name, or the short name of a key in the configured key ring.
 *
 * @param places - `projects/P/locations/L` of the configured keys. A key elsewhere is not found, without a connection:
 *   stored data must not choose to whose project our plaintext goes. Empty: every place is taken.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` if it is no such name; `ERR_KEY_NOT_FOUND` for another place.
 */
export const readKeyId = (
  keyId: string,
  ring: string | undefined,
  places: ReadonlySet<string>,
): KeyName => {
  const full = ring !== undefined && SHORT.test(keyId) ? `${ring}/cryptoKeys/${keyId}` : keyId;
  const name = parseKeyName(full);
  if (name === undefined) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", "The key id is no name of a Cloud KMS key", {
      context: {
        provider: "gcp-kms",
        hint: "A key is projects/P/locations/L/keyRings/R/cryptoKeys/K, and /cryptoKeyVersions/N for one version of it",
      },
    });
  }
  if (places.size > 0 && !places.has(name.location)) {
    throw new CryptoError(
      "ERR_KEY_NOT_FOUND",
      `Key ${name.key} is not in ${[...places].join(" or ")}, the configured project and location`,
      { context: { provider: "gcp-kms", keyId: name.key } },
    );
  }
  return name;
};

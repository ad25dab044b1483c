import { type Bytes, CryptoError, utf8 } from "@lango/crypto-core";
import { parts } from "@lango/envelope";
import type { Audience } from "./types.ts";

/** The collection of plain secrets; connections and service secrets will have their own. */
export const SECRETS = "secrets";
/** The domain of data keys that seal while the provider of their key cannot be reached. */
export const fallbackDomain = (domain: string): string => `${domain}/fallback`;
/** The key of the registry that is used when none is named. */
export const DEFAULT_KEY = "default";
export const MAX_SECRET_BYTES: number = 1024 * 1024;
export const KEPT_VERSIONS = 10;

/**
 * Whether what the data keys of a domain seal is in the rows of the vault and nowhere else, so that they can be replaced and
 * destroyed. A domain that is not listed here may have sealed what only its users hold.
 */
export const sealsRowsOnly = (domain: string): boolean =>
  domain === SECRETS || domain === fallbackDomain(SECRETS);

const MAX_NAME_LENGTH = 256;
const NAME = /^[A-Za-z0-9._/-]+$/;
/** What agents can neither name nor see: a wallet key is no secret that a tool may ask for. */
const RESERVED = ["wallet/", "system/"];

/** @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for a name that is not as the docs of `Secrets` say. */
export const checkSecretName = (name: string): void => {
  const fault = nameFault(name);
  if (fault !== undefined) throw new CryptoError("ERR_INVALID_ARGUMENT", `Secret name ${fault}`);
};

/** @throws {@link CryptoError} `ERR_INVALID_ARGUMENT`; names of keys have no slash, they are part of URIs. */
export const checkKeyName = (name: string): void => {
  const fault = keyNameFault(name);
  if (fault !== undefined) throw new CryptoError("ERR_INVALID_ARGUMENT", `Key name ${fault}`);
};

export const isKeyName = (name: unknown): name is string => keyNameFault(name) === undefined;

const keyNameFault = (name: unknown): string | undefined =>
  nameFault(name) ?? (String(name).includes("/") ? "has a slash" : undefined);

// The name itself is not repeated: people paste values where names belong.
const nameFault = (name: unknown): string | undefined => {
  if (typeof name !== "string") return `is not a string but ${typeof name}`;
  if (name.length === 0) return "is empty";
  if (name.length > MAX_NAME_LENGTH) return `has ${name.length} characters, more than 256`;
  if (!NAME.test(name)) return "has a character that is not in [A-Za-z0-9._/-]";
  if (name.includes("..")) return "has two dots in a row";
  if (name.startsWith("/") || name.endsWith("/")) return "begins or ends with a slash";
  return undefined;
};

/** @throws {@link CryptoError} `ERR_INVALID_ARGUMENT`: whoever is no owner must not pass for one by a misspelt word. */
export const checkAudience = (audience: Audience | undefined): void => {
  if (audience === undefined || audience === "owner" || audience === "agent") return;
  throw new CryptoError("ERR_INVALID_ARGUMENT", "The audience is owner or agent");
};

export const isHiddenFrom = (audience: Audience | undefined, name: string): boolean =>
  audience === "agent" && RESERVED.some((prefix) => name.startsWith(prefix));

const RECORD = utf8("lango/v1/record");
const VALUE_FIELD = utf8("value");

/**
 * What a sealed value is bound to: parts(`lango/v1/record`, vault id, collection, name, field, version as u64), so that
 * it opens in no other vault, under no other name and as no other version.
 */
export const recordAad = (
  vaultId: Uint8Array,
  collection: string,
  name: string,
  version: number,
): Bytes => parts(RECORD, vaultId, collection, name, VALUE_FIELD, u64(version));

export const u64 = (value: number): Bytes => {
  const out = new Uint8Array(8);
  const view = new DataView(out.buffer);
  // Half by half: a BigInt would cost more than the rest of the AAD.
  view.setUint32(0, Math.floor(value / 2 ** 32));
  view.setUint32(4, value >>> 0);
  return out;
};

import { CryptoError } from "@lango/crypto-core";
import type { Vault } from "./vault-url.ts";

/** A key of the configured vault, perhaps one version of it. */
export interface KeyRef {
  readonly name: string;
  /** Absent: the current one. */
  readonly version: string | undefined;
}

const NAME = /^[0-9A-Za-z-]{1,127}$/;
const VERSION = /^[0-9A-Za-z]{1,64}$/;
const URL_OF_KEY = /^https:\/\/([^/?#@\\%]+)\/keys\/([^/]+)(?:\/([^/]+))?$/i;
const BARE = /^([^/]+)(?:\/([^/]+))?$/;

/**
 * Reads `name`, `name/version` or `https://host/keys/name[/version]`.
 *
 * @throws {@link CryptoError} `ERR_KEY_NOT_FOUND` for a key of another vault, before any connection;
 *   `ERR_INVALID_ARGUMENT` for what is none of these.
 */
export function parseKeyId(vault: Vault, keyId: string): KeyRef {
  const [, host, ...rest] = URL_OF_KEY.exec(keyId) ?? [];
  if (host !== undefined && !isHostOf(vault, host)) {
    throw new CryptoError("ERR_KEY_NOT_FOUND", "The key is not in the configured vault", {
      context: {
        provider: "azure-kv",
        hint: `Only keys of ${vault.origin} are reached; configure another provider for other vaults`,
      },
    });
  }
  const [name = "", version] = host === undefined ? (BARE.exec(keyId) ?? []).slice(1) : rest;
  if (NAME.test(name) && (version === undefined || VERSION.test(version))) return { name, version };
  throw new CryptoError("ERR_INVALID_ARGUMENT", "keyId is no name of a key in a vault", {
    context: {
      provider: "azure-kv",
      hint: "A key is named NAME, NAME/VERSION, or by its URL; a NAME has letters, digits and hyphens",
    },
  });
}

/**
 * The version that a request names beside the key, or else the one in the key's id.
 *
 * @throws {@link CryptoError} `ERR_KEY_NOT_FOUND` for text that no version can be.
 */
export function atVersion(ref: KeyRef, keyVersion: string | undefined): KeyRef {
  if (keyVersion === undefined) return ref;
  if (isVersion(keyVersion)) return { name: ref.name, version: keyVersion };
  throw new CryptoError("ERR_KEY_NOT_FOUND", "The key has no version of that name", {
    context: { provider: "azure-kv" },
  });
}

/** The canonical id of a key: its URL without a version. */
export const formatKeyId = (vault: Vault, name: string): string => `${vault.origin}/keys/${name}`;

/** Tells whether text has the form of a version; the service makes 32 hexadecimal digits. */
export const isVersion = (text: string): boolean => VERSION.test(text);

/**
 * The name and version in a `kid` of an answer, or `undefined` when it is of another vault. Emulators on the loopback
 * address may name another host, which is let pass there.
 */
export function parseKid(vault: Vault, kid: unknown): KeyRef | undefined {
  const [, host = "", name = "", version] = (typeof kid === "string" && URL_OF_KEY.exec(kid)) || [];
  if (!vault.loopback && !isHostOf(vault, host)) return undefined;
  return NAME.test(name) ? { name, version } : undefined;
}

const isHostOf = (vault: Vault, host: string): boolean =>
  `https://${host.toLowerCase().replace(/:443$/, "")}` === vault.origin;

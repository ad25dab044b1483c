import { CryptoError, formatKeyUri } from "@lango/crypto-core";
import type { Config } from "../config/defaults.ts";
import { configPath } from "../config/load.ts";

/** The settings that say where keys are. */
export type KeySettings = Pick<Config["security"], "signer" | "kms">;

/** Settings of a provider package, each with where it stands below `security.kms`. */
type Paths = Readonly<Record<string, string>>;

const KEYS: Paths = { keyId: "keyId", encryptKeyId: "encryptKeyId", signKeyId: "signKeyId" };

const PATHS: Readonly<Record<string, Paths>> = {
  // Its settings are those of security.signer.
  rpc: {},
  "aws-kms": { region: "region", endpoint: "endpoint", ...KEYS },
  "gcp-kms": { endpoint: "endpoint", ...KEYS },
  "azure-kv": { vaultUrl: "azure.vaultUrl", algorithm: "azure.algorithm", ...KEYS },
  pkcs11: {
    modulePath: "pkcs11.modulePath",
    slotId: "pkcs11.slotId",
    keyLabel: "pkcs11.keyLabel",
    ...KEYS,
  },
};

/** What a package that is none of ours is given. */
const PATHS_OF_OTHERS: Paths = { region: "region", endpoint: "endpoint", ...KEYS };

/** What a provider cannot do without. */
const REQUIRED: Paths = { "azure-kv": "azure.vaultUrl", pkcs11: "pkcs11.modulePath" };

/**
 * What shows that a provider is configured while `security.signer.provider` names another: a vault may hold keys of both
 * during a migration. Google Cloud KMS has no setting of its own.
 */
const MARKS: Paths = { "aws-kms": "region", ...REQUIRED };

/** The providers that are configured beside the one of `security.signer.provider`, if a vault has keys of them. */
export const alsoConfigured = ({ signer, kms }: KeySettings): string[] => [
  ...(signer.provider !== "rpc" && signer.rpcUrl !== "" ? ["rpc"] : []),
  ...Object.entries(MARKS).flatMap(([name, path]) =>
    name !== signer.provider && isSet(valueAt(kms, path)) ? [name] : [],
  ),
];

/** The environment variable of a token's PIN. */
export const PIN = "LANGO_PKCS11_PIN";

/**
 * Of which providers a slot could open the vault, by scheme, and whether any process of this user could have it opened as
 * well. A PIN that was given to this command alone makes the difference; credentials of a cloud lie in files and services,
 * and a companion may answer by itself.
 */
export const ambientSchemes = (
  schemes: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, boolean>> =>
  Object.fromEntries(schemes.map((scheme) => [scheme, !(scheme === "pkcs11" && env[PIN])]));

/** The providers that the settings configure. */
export const configuredSchemes = (settings: KeySettings): string[] => [
  ...(settings.signer.provider === "local" ? [] : [settings.signer.provider]),
  ...alsoConfigured(settings),
];

/**
 * What a provider is configured with; settings that are empty, or of another provider, are left out. The keys belong to
 * the provider of `security.signer.provider`, and so does the endpoint while that is not `local`.
 */
export function settingsFor(name: string, { signer, kms }: KeySettings): Record<string, unknown> {
  const isSigner = signer.provider === name;
  const isShared = (setting: string): boolean => Object.hasOwn(KEYS, setting);
  const belongs = (setting: string): boolean =>
    isSigner || !(isShared(setting) || (setting === "endpoint" && signer.provider !== "local"));
  return Object.fromEntries(
    Object.entries(PATHS[name] ?? PATHS_OF_OTHERS).flatMap(([setting, path]) => {
      const value = valueAt(kms, path);
      return belongs(setting) && isSet(value) ? [[setting, value]] : [];
    }),
  );
}

/** @throws CryptoError `ERR_CONFIG` that names the setting that is missing. */
export function requireSettings(name: string, { kms }: KeySettings, home: string): void {
  const path = REQUIRED[name];
  if (path !== undefined && !isSet(valueAt(kms, path))) {
    throw notSet(`security.kms.${path}`, `${name} needs it`, home);
  }
}

/** A fault that a provider found in its settings, in the words of `config.json`. */
export function inWordsOfConfig(error: CryptoError, name: string, home: string): CryptoError {
  const { code, message, context, retryable } = error;
  const paths = PATHS[name] ?? PATHS_OF_OTHERS;
  const named = (text: string): string =>
    // A plain word such as "region" is a setting only where a fault begins.
    text.replaceAll(/\b[a-z]+[A-Z]\w*|(?<=^|[:;] )[a-z]+(?=:| is )/g, (word) => {
      if (word === "pinSource") return "LANGO_PKCS11_PIN_FILE";
      return Object.hasOwn(paths, word) ? `security.kms.${paths[word]}` : word;
    });
  const hint = context.hint === undefined ? {} : { hint: named(context.hint) };
  return new CryptoError(code, `${configPath(home)}: ${named(message)}`, {
    context: { ...context, ...hint },
    retryable,
  });
}

/**
 * URI of the key that the settings name for a use.
 *
 * @throws CryptoError `ERR_CONFIG` when they name none.
 */
export function configuredKey(
  { signer, kms }: KeySettings,
  use: "encryption" | "signing",
  home: string,
): string {
  if (signer.provider === "rpc") {
    if (signer.keyId !== "") return formatKeyUri("rpc", signer.keyId);
    throw notSet("security.signer.keyId", "it names the key of the companion", home);
  }
  if (signer.provider === "local") {
    throw new CryptoError(
      "ERR_CONFIG",
      "security.signer.provider is local: it names no key elsewhere",
      {
        context: { hint: "Set it to the provider that keeps the key, and the key in security.kms" },
      },
    );
  }
  const own = use === "encryption" ? kms.encryptKeyId : kms.signKeyId;
  const label = signer.provider === "pkcs11" ? kms.pkcs11.keyLabel : "";
  const keyId = own || kms.keyId || label;
  if (keyId === "") {
    const path = signer.provider === "pkcs11" ? "pkcs11.keyLabel" : "keyId";
    throw notSet(`security.kms.${path}`, `it names the key of ${signer.provider}`, home);
  }
  return formatKeyUri(signer.provider, keyId);
}

/** Where a provider reaches its keys, in one line: what a person must be able to see change. */
export function targetOf(name: string, settings: KeySettings): string {
  if (name === "local") return name;
  if (name === "rpc") return `rpc ${settings.signer.rpcUrl || "found on the local network"}`;
  const where = Object.entries(settingsFor(name, settings)).filter(
    ([setting]) => !Object.hasOwn(KEYS, setting) && setting !== "keyLabel",
  );
  return [name, ...where.map(([setting, value]) => `${setting}=${value}`)].join(" ");
}

const isSet = (value: unknown): boolean => value !== undefined && value !== "";

const valueAt = (kms: KeySettings["kms"], path: string): unknown =>
  path
    .split(".")
    .reduce<unknown>((group, key) => (group as Record<string, unknown> | undefined)?.[key], kms);

const notSet = (path: string, why: string, home: string): CryptoError =>
  new CryptoError("ERR_CONFIG", `${configPath(home)}: ${path} is not set, and ${why}`, {
    context: { hint: `Run "lango settings set ${path} VALUE"` },
  });

import type { Config } from "../config/defaults.ts";
import { DEFAULTS } from "../config/defaults.ts";
import { readConfigFile } from "../config/load.ts";
import { installedVersion, PROVIDER_NAMES } from "./provider-packages.ts";

/** The settings that this looks at. */
export type Wishes = Pick<Config["security"], "signer" | "keyring" | "dbEncryption"> & {
  readonly anchor: string;
  readonly driver: string;
};

/** What protects the keys and the database, whatever the settings wish for. */
export interface Standing {
  readonly provider: {
    /** What the settings name. */
    readonly name: string;
    readonly installed: boolean;
    /** Whether the keys are where the settings say. */
    readonly inForce: boolean;
  };
  readonly database: { readonly encrypted: boolean; readonly inForce: boolean };
  /** Lines for people. */
  readonly facts: readonly (readonly [string, string])[];
  /** A sentence for each setting that is not in force. */
  readonly faults: readonly string[];
}

/** Tells which settings are not in force: in this version every key is local and no database is encrypted. */
export function standing({ signer, dbEncryption, driver }: Wishes, home: string): Standing {
  const name = signer.provider;
  const isLocal = name === "local";
  // The name is unchecked, and a part of a path.
  const isKnown = PROVIDER_NAMES.some((known) => known === name);
  const installed =
    isLocal || (isKnown && installedVersion(`@lango/crypto-${name}`, home) !== undefined);
  const provider = isLocal
    ? name
    : `${name}: ${installed ? "installed, but not in use" : "not installed"}; every key is local`;
  const migrated = "security.dbEncryption.enabled is true, but nothing was migrated";
  return {
    provider: { name, installed, inForce: isLocal },
    database: { encrypted: false, inForce: !dbEncryption.enabled },
    facts: [
      ["provider", provider],
      ["database", `not encrypted${dbEncryption.enabled ? ` (${migrated})` : ""}`],
    ],
    faults: [
      ...(isLocal ? [] : [`security.signer.provider is ${provider}`]),
      ...(dbEncryption.enabled ? [migrated] : []),
      ...(driver === "sqlite" ? [] : [`store.driver is ${driver}, but the store is SQLite`]),
    ],
  };
}

/** {@link Wishes} without the schema that checks them, which would cost start-up time: "lango doctor" checks them. */
export async function uncheckedWishes(home: string): Promise<Wishes> {
  const file = (await readConfigFile(home)) as
    | {
        security?: Partial<Config["security"]>;
        audit?: Partial<Config["audit"]>;
        store?: Partial<Config["store"]>;
      }
    | undefined;
  const { signer, keyring, dbEncryption } = DEFAULTS.security;
  return {
    signer: { ...signer, ...file?.security?.signer },
    keyring: { ...keyring, ...file?.security?.keyring },
    dbEncryption: { ...dbEncryption, ...file?.security?.dbEncryption },
    anchor: file?.audit?.anchor ?? DEFAULTS.audit.anchor,
    driver: file?.store?.driver ?? DEFAULTS.store.driver,
  };
}

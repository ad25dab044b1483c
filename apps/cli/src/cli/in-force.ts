import type { DatabaseState, DataKeyGroup, LockedStatus } from "@lango/vault";
import type { Config } from "../config/defaults.ts";
import { readConfigFile } from "../config/load.ts";
import { withDefaults } from "../config/shape.ts";
import { installedVersion, packageOf } from "./provider-packages.ts";

/** The settings that this looks at. */
export type Wishes = Pick<Config["security"], "signer" | "kms" | "keyring" | "dbEncryption"> & {
  readonly anchor: string;
};

/** What protects the keys and the database, whatever the settings wish for. */
export interface Standing {
  /** Whose key wraps the data keys; `mixed` when not all are of one, `null` while the database hides it. */
  readonly mode: string | null;
  readonly provider: {
    /** What the settings name. */
    readonly name: string;
    readonly installed: boolean;
    /** Whether the keys are where the settings say; `null` while the database hides it. */
    readonly inForce: boolean | null;
  };
  readonly database: DatabaseState & { readonly inForce: boolean };
  /** Lines for people. */
  readonly facts: readonly (readonly [string, string])[];
}

/** Tells where the data keys are, and which settings are not in force. */
export function standing(
  { signer, dbEncryption }: Wishes,
  home: string,
  { dataKeys, database }: Pick<LockedStatus, "dataKeys" | "database">,
): Standing {
  const { provider: name } = signer;
  const version = versionOf(name, home);
  const mode = dataKeys && modeOf(dataKeys);
  const inForce = mode === null ? null : mode === name;
  const what = name === "local" ? name : `${name} ${version ?? "(not installed)"}`;
  const elsewhere = mode === "local" ? "every data key is local" : "some are elsewhere";
  return {
    mode,
    provider: { name, installed: version !== undefined, inForce },
    database: { ...database, inForce: database.encrypted === dbEncryption.enabled },
    facts: [
      ["provider", inForce === false ? `${what}, not in use for secrets: ${elsewhere}` : what],
      ["database", databaseText(dbEncryption.enabled, database)],
      ["data keys", dataKeys ? dataKeys.map(groupText).join(", ") || "none yet" : "locked"],
    ],
  };
}

function databaseText(wished: boolean, database: DatabaseState): string {
  const pages = database.encrypted && database.cipherPageSize;
  const what = database.encrypted
    ? `encrypted${pages ? `, pages of ${pages} bytes` : ""}`
    : "not encrypted";
  const setting = `security.dbEncryption.enabled is ${wished}`;
  return database.encrypted === wished ? what : `${what} (${setting}, run "${MENDS[`${wished}`]}")`;
}

/** What brings the database to where the settings have it. */
const MENDS = { true: "lango security db-migrate", false: "lango security db-decrypt" } as const;

/** The version of a provider that is installed; `local` is always there. */
export function versionOf(name: string, home: string): string | undefined {
  const packageName = packageOf(name);
  if (name === "local") return "built in";
  return packageName === undefined ? undefined : installedVersion(packageName, home);
}

const VAULT_KEY = "vault:wrap";

/** Data keys that wait to be wrapped by their provider are that provider's already. */
function modeOf(dataKeys: readonly DataKeyGroup[]): string {
  const modes = new Set(
    dataKeys.flatMap(({ uri, count, degraded }) => {
      if (uri !== VAULT_KEY) return [uri.slice(0, uri.indexOf(":"))];
      return count > degraded ? ["local"] : [];
    }),
  );
  const [mode = "local"] = modes;
  return modes.size > 1 ? "mixed" : mode;
}

const groupText = ({ uri, count, degraded }: DataKeyGroup): string =>
  `${count} under ${uri === VAULT_KEY ? "the vault key" : uri}${degraded === 0 ? "" : ` (${degraded} degraded)`}`;

/** {@link Wishes} without the schema that checks them, which would cost start-up time: "lango doctor" checks them. */
export async function uncheckedWishes(home: string): Promise<Wishes> {
  const { security, audit } = withDefaults((await readConfigFile(home)) ?? {});
  const { signer, kms, keyring, dbEncryption } = security;
  return { signer, kms, keyring, dbEncryption, anchor: audit.anchor };
}

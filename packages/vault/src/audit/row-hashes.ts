import { setImmediate } from "node:timers/promises";
import type { SecretRow, SecretVersionRow, StoreReads } from "@lango/store";
import { SECRETS } from "../names.ts";
import { type SteeringTable, type SteeringTables, sha256Hex, steeringHash } from "../rows.ts";
import type { RowChange } from "./entry.ts";

// How the chain names a row. Secrets go by their name, which is what an auditor looks for; names hold no `@`.

export const secretRowName = (row: Pick<SecretRow, "collection" | "name">): string =>
  `${row.collection}/${row.name}`;

export const versionRowName = (
  row: Pick<SecretRow, "collection" | "name">,
  version: number,
): string => `${secretRowName(row)}@${version}`;

/** What the chain keeps of a change to a steering row. */
export const changeOf = <T extends SteeringTable>(table: T, row: SteeringTables[T]): RowChange => [
  table,
  rowNames[table](row),
  steeringHash(table, row),
];

/** What the chain keeps of a new version: the hash of its sealed value. */
export const versionChange = (
  row: Pick<SecretRow, "collection" | "name">,
  version: Pick<SecretVersionRow, "version" | "sealed">,
): RowChange => versionHashed(row, version.version, sha256Hex(version.sealed));

/** {@link versionChange} where the hash is known. */
export const versionHashed = (
  row: Pick<SecretRow, "collection" | "name">,
  version: number,
  hash: string,
): RowChange => ["secret_versions", versionRowName(row, version), hash];

/** What the chain keeps of a removed version. */
export const versionRemoved = (
  row: Pick<SecretRow, "collection" | "name">,
  version: number,
): RowChange => ["secret_versions", versionRowName(row, version), null];

/** What the chain keeps of a job that has ended. */
export const jobRemoved = (kind: string): RowChange => ["jobs", kind, null];

/** What the chain keeps of a device that was revoked. */
export const companionRemoved = (id: string): RowChange => ["companions", id, null];

const rowNames: {
  readonly [T in SteeringTable]: (row: SteeringTables[T]) => string;
} = {
  vault: () => "vault",
  keys: (row) => row.id,
  key_versions: (row) => `${row.keyId}/${row.version}`,
  data_keys: (row) => row.id,
  secrets: secretRowName,
  companions: (row) => row.id,
  permits: (row) => row.id,
  policies: (row) => row.subject,
  jobs: (row) => row.kind,
};

/** Every row that the chain knows of, as it is in the database now; tombstones are left out. */
export async function* currentRows(store: StoreReads): AsyncGenerator<RowChange> {
  const vault = await store.vault.get();
  if (vault) yield changeOf("vault", vault);
  for (const key of await store.keys.list()) {
    yield changeOf("keys", key);
    for (const version of await store.keys.listVersions(key.id)) {
      yield changeOf("key_versions", version);
    }
  }
  for (const key of await store.dataKeys.list()) yield changeOf("data_keys", key);
  for (const companion of await store.companions.list()) yield changeOf("companions", companion);
  for (const kind of ["grant", "handle"] as const) {
    for (const permit of await store.permits.list(kind)) yield changeOf("permits", permit);
  }
  for (const policy of await store.policies.list()) yield changeOf("policies", policy);
  for (const job of await store.jobs.list()) yield changeOf("jobs", job);
  for await (const row of liveSecrets(store)) {
    yield changeOf("secrets", row);
    for (const { version } of await store.secrets.listVersions(row.id)) {
      const full = await store.secrets.findVersion(row.id, version);
      if (full) yield versionChange(row, full);
    }
  }
}

/** All live secrets by name, in pages; other work gets its turn between two. */
export async function* liveSecrets(store: StoreReads): AsyncGenerator<SecretRow> {
  let after: string | undefined;
  do {
    const page: SecretRow[] = await store.secrets.list({
      collection: SECRETS,
      ...(after === undefined ? {} : { after }),
    });
    yield* page;
    after = page.at(-1)?.name;
    await setImmediate();
  } while (after !== undefined);
}

/** The hash of one row as it is now, null when it is not there. */
export const currentHash = async (
  store: StoreReads,
  table: string,
  row: string,
): Promise<string | null> => {
  const found = await findRow(store, table, row);
  return found === undefined ? null : found[2];
};

const findRow = async (
  store: StoreReads,
  table: string,
  name: string,
): Promise<RowChange | undefined> => {
  switch (table) {
    case "vault": {
      const row = await store.vault.get();
      return row && changeOf("vault", row);
    }
    case "keys": {
      const row = await store.keys.find(name);
      return row && changeOf("keys", row);
    }
    case "key_versions": {
      const [keyId = "", version = ""] = name.split("/");
      const row = await store.keys.findVersion(keyId, version);
      return row && changeOf("key_versions", row);
    }
    case "data_keys": {
      const row = await store.dataKeys.find(name);
      return row && changeOf("data_keys", row);
    }
    case "companions": {
      const row = await store.companions.find(name);
      return row && changeOf("companions", row);
    }
    case "permits": {
      const row = await store.permits.find(name);
      return row && changeOf("permits", row);
    }
    case "policies": {
      const row = await store.policies.find(name);
      return row && changeOf("policies", row);
    }
    case "jobs": {
      const row = await store.jobs.find(name);
      return row && changeOf("jobs", row);
    }
    case "secrets":
    case "secret_versions": {
      const slash = name.indexOf("/");
      const [secretName = "", version] = name.slice(slash + 1).split("@");
      const row = await store.secrets.describe(name.slice(0, slash), secretName);
      if (!row || version === undefined) return row && changeOf("secrets", row);
      const full = await store.secrets.findVersion(row.id, Number(version));
      return full && versionChange(row, full);
    }
    default:
      return undefined;
  }
};

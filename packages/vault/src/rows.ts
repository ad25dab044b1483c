import { createHmac, hash, type KeyObject } from "node:crypto";
import {
  type Bytes,
  bytesEqual,
  CryptoError,
  concat,
  toBase64,
  toPlain,
  utf8,
} from "@lango/crypto-core";
import { parts, type RowsKeys } from "@lango/envelope";
import type {
  CompanionRow,
  DataKeyRow,
  JobRow,
  KeyRow,
  KeyVersionRow,
  PermitRow,
  PolicyRow,
  SecretRow,
  VaultRow,
} from "@lango/store";

/** The rows that steer security: whoever changes one without the vault's key is found out at the next read. */
export interface SteeringTables {
  vault: VaultRow;
  keys: KeyRow;
  key_versions: KeyVersionRow;
  data_keys: DataKeyRow;
  secrets: SecretRow;
  companions: CompanionRow;
  permits: PermitRow;
  policies: PolicyRow;
  jobs: JobRow;
}
export type SteeringTable = keyof SteeringTables;

interface TableFacts<Row> {
  readonly primaryKey: (row: Row) => string;
  /** The columns under the MAC. Left out: the MAC, and counters that are changed in one statement without the key. */
  readonly columns: readonly (keyof Row & string)[];
}

const TABLES: { readonly [T in SteeringTable]: TableFacts<Omit<SteeringTables[T], "mac">> } = {
  vault: {
    primaryKey: () => "vault",
    columns: [
      "vaultId",
      "format",
      "state",
      "createdAt",
      "slotGeneration",
      "slotMac",
      "pendingGeneration",
      "pendingMac",
      "auditKey",
      "auditEpoch",
    ],
  },
  keys: {
    primaryKey: (row) => row.id,
    columns: [
      "id",
      "name",
      "type",
      "algorithm",
      "provider",
      "remoteKeyId",
      "keyVersion",
      "publicKey",
      "state",
      "createdAt",
    ],
  },
  key_versions: {
    primaryKey: (row) => `${row.keyId}/${row.version}`,
    columns: ["keyId", "version", "sealed", "publicKey", "state", "createdAt"],
  },
  data_keys: {
    primaryKey: (row) => row.id,
    columns: [
      "id",
      "keyId",
      "domain",
      "wrapped",
      "wrapUri",
      "wrapVersion",
      "state",
      "degraded",
      "createdAt",
    ],
  },
  secrets: {
    primaryKey: (row) => row.id,
    columns: [
      "id",
      "collection",
      "name",
      "keyId",
      "currentVersion",
      "createdAt",
      "updatedAt",
      "deletedAt",
    ],
  },
  companions: {
    primaryKey: (row) => row.id,
    columns: ["id", "name", "role", "fingerprint", "state", "pairedAt"],
  },
  permits: {
    primaryKey: (row) => row.id,
    // The uses too: whoever could set them back would have a permit as often as wanted.
    columns: [
      "id",
      "kind",
      "subject",
      "terms",
      "dangerous",
      "approvedBy",
      "createdAt",
      "expiresAt",
      "maxUses",
      "uses",
      "lastUsedAt",
    ],
  },
  policies: {
    primaryKey: (row) => row.subject,
    columns: ["subject", "content", "updatedAt"],
  },
  jobs: {
    primaryKey: (row) => row.kind,
    columns: ["kind", "content", "startedAt", "updatedAt"],
  },
};

/** The row with its MAC: HMAC-SHA-256(rows key of now, parts(table, primary key, JCS(columns))). */
export const withMac = <T extends SteeringTable>(
  rowsKeys: RowsKeys,
  table: T,
  row: Omit<SteeringTables[T], "mac">,
): SteeringTables[T] =>
  ({ ...row, mac: hmac(rowsKeys.current, canonical(table, row)) }) as unknown as SteeringTables[T];

/** Whether the row is as lango wrote it: under the key of now, or under the former one while rows are written anew. */
export const isSound = <T extends SteeringTable>(
  { current, former }: RowsKeys,
  table: T,
  row: SteeringTables[T],
): boolean => {
  const content = canonical(table, row);
  if (bytesEqual(hmac(current, content), row.mac)) return true;
  return former !== undefined && bytesEqual(hmac(former, content), row.mac);
};

/** @throws {@link CryptoError} `ERR_INTEGRITY` when the row is not as lango wrote it. */
export const checkRow = <T extends SteeringTable>(
  rowsKeys: RowsKeys,
  table: T,
  row: SteeringTables[T],
): void => {
  if (isSound(rowsKeys, table, row)) return;
  const id = TABLES[table].primaryKey(row);
  throw new CryptoError("ERR_INTEGRITY", `Row ${id} of table ${table} was changed outside lango`, {
    context: { hint: "Compare the database with the log: lango audit verify --rows" },
  });
};

/**
 * SHA-256 in hex of what the MAC of a row covers, and of the MAC. The audit chain keeps it, so that old rows cannot come
 * back unseen.
 */
export const steeringHash = <T extends SteeringTable>(table: T, row: SteeringTables[T]): string =>
  sha256Hex(concat(canonical(table, row), row.mac));

export const sha256Hex = (bytes: Uint8Array): string => hash("sha256", bytes, "hex");

const hmac = (key: KeyObject, bytes: Uint8Array): Bytes =>
  toPlain(createHmac("sha256", key).update(bytes).digest());

const canonical = <T extends SteeringTable>(
  table: T,
  row: Omit<SteeringTables[T], "mac">,
): Bytes => {
  const { primaryKey } = TABLES[table];
  const { name, columns } = canonicalNames[table];
  let json = "";
  for (const [column, quoted] of columns) {
    const value = (row as Readonly<Record<string, unknown>>)[column];
    json += `${json === "" ? "{" : ","}${quoted}:${canonicalValue(value)}`;
  }
  return parts(name, primaryKey(row), `${json}}`);
};

// What `jcs` would give, ten times as fast: this runs at every read. Strings and whole numbers are written by JCS as
// JSON.stringify writes them (RFC 8785 §3.2.2), and the names are sorted once.
const canonicalValue = (value: unknown): string =>
  value instanceof Uint8Array ? `"${toBase64(value)}"` : JSON.stringify(value);

/** Tables and columns go by the names that they have in the database, so that a MAC can be computed without this code. */
const canonicalNames = Object.fromEntries(
  Object.entries(TABLES).map(([table, { columns }]) => [
    table,
    {
      name: utf8(table),
      columns: columns
        .map((column) => [column, JSON.stringify(sqlName(column))] as const)
        .sort(([, a], [, b]) => (a < b ? -1 : 1)),
    },
  ]),
) as unknown as Readonly<
  Record<
    SteeringTable,
    { readonly name: Bytes; readonly columns: readonly (readonly [string, string])[] }
  >
>;

function sqlName(column: string): string {
  return column.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

import { bytesEqual } from "@lango/crypto-core";
import type { RowsKeys } from "@lango/envelope";
import type { SecretRow } from "@lango/store";
import { checkRow } from "./rows.ts";

/** Checks the pointers of secrets; see {@link checkRow}. */
export type CheckSecret = (row: SecretRow) => void;

/** Bounds the memory to a few megabytes. */
const MAX_REMEMBERED = 10_000;

const COLUMNS = [
  "collection",
  "name",
  "keyId",
  "currentVersion",
  "createdAt",
  "updatedAt",
  "deletedAt",
] as const satisfies readonly (keyof SecretRow)[];

/** A row that is the same to the last bit as one that passed needs no second HMAC, a third of the cost of a read. */
export const createSecretCheck = (rowsKeys: RowsKeys): CheckSecret => {
  const passed = new Map<string, SecretRow>();
  let { former } = rowsKeys;
  return (row) => {
    // What passed under a former key does not once that has ended.
    if (rowsKeys.former !== former) passed.clear();
    former = rowsKeys.former;
    const known = passed.get(row.id);
    const same =
      known !== undefined &&
      COLUMNS.every((column) => known[column] === row[column]) &&
      bytesEqual(known.mac, row.mac);
    if (same) return;
    checkRow(rowsKeys, "secrets", row);
    if (passed.size >= MAX_REMEMBERED) passed.clear();
    const { id, collection, name, keyId, currentVersion, createdAt, updatedAt, deletedAt } = row;
    const { mac, uses, lastUsedAt } = row;
    // Not the row itself: a read brings its sealed value along.
    const pointer = {
      id,
      collection,
      name,
      keyId,
      currentVersion,
      createdAt,
      updatedAt,
      deletedAt,
    };
    passed.set(id, { ...pointer, mac, uses, lastUsedAt });
  };
};

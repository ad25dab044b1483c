import { CryptoError } from "@lango/crypto-core";
import type { PermitRow, StoreTransaction } from "@lango/store";
import type { RowChange } from "../audit/entry.ts";
import type { NewEntry } from "../audit/log.ts";
import { changeOf } from "../audit/row-hashes.ts";
import type { VaultContext } from "../context.ts";
import { checkRow, withMac } from "../rows.ts";

/** More for one tool or one secret is a fault of the caller, and would make each look-up slow. */
const MAX_PER_SUBJECT = 1000;

/** Why a permit does not hold at a time; `undefined` when it does. */
export const whyNot = (row: PermitRow, now: number): string | undefined => {
  // A clock that was set back would make it last longer.
  if (now < Math.max(row.createdAt, row.lastUsedAt ?? 0)) return "the clock was set back";
  return whyOver(row, now);
};

const whyOver = (row: PermitRow, now: number): string | undefined => {
  if (now >= row.expiresAt) return "it is too old";
  return row.maxUses !== null && row.uses >= row.maxUses ? "it is spent" : undefined;
};

/** Adds a permit and removes those of its subject that are too old or spent. */
export const addIn = async (
  tx: StoreTransaction,
  { keys, log, clock }: VaultContext,
  permit: Omit<PermitRow, "mac" | "uses" | "lastUsedAt">,
  entry: NewEntry,
): Promise<PermitRow> => {
  const row = withMac(keys.rows, "permits", { ...permit, uses: 0, lastUsedAt: null });
  const rows: RowChange[] = [changeOf("permits", row)];
  const others = await tx.permits.listFor(row.kind, row.subject);
  const over = others.filter((other) => whyOver(other, clock()) !== undefined);
  rows.push(...(await removeAllIn(tx, over)));
  if (others.length - over.length >= MAX_PER_SUBJECT) {
    throw new CryptoError("ERR_CONFLICT", `There are ${MAX_PER_SUBJECT} of them already`, {
      context: { hint: "Revoke some, or wait until they are too old" },
    });
  }
  await tx.permits.insert(row);
  await log.appendIn(tx, { ...entry, rows });
  return row;
};

/** Removes permits. @returns What the log keeps of it. */
export const removeAllIn = async (
  tx: StoreTransaction,
  permits: readonly PermitRow[],
): Promise<RowChange[]> => {
  for (const { id } of permits) await tx.permits.remove(id);
  return permits.map(({ id }) => ["permits", id, null]);
};

/**
 * Takes one back. Revoking is always safe: a row that was changed can be taken away, too.
 *
 * @throws {@link CryptoError} `ERR_NOT_FOUND` when there is none of that kind with this id.
 */
export const revoke = (
  { store, log }: VaultContext,
  kind: PermitRow["kind"],
  id: string,
): Promise<void> =>
  store.transaction("full", async (tx) => {
    const row = await tx.permits.find(id);
    if (row?.kind !== kind) {
      throw new CryptoError("ERR_NOT_FOUND", `No such ${kind}`, {
        context: { hint: 'Run "lango approvals list"' },
      });
    }
    await log.appendIn(tx, {
      ...{ action: `${kind}.revoke`, target: kind === "grant" ? id : row.subject },
      rows: await removeAllIn(tx, [row]),
    });
  });

/** Counts a use, with its row of the log. The caller has read and judged the permit in this transaction. */
export const useIn = async (
  tx: StoreTransaction,
  { keys, log, clock }: VaultContext,
  row: PermitRow,
  entry: NewEntry,
): Promise<PermitRow> => {
  const used = withMac(keys.rows, "permits", { ...row, uses: row.uses + 1, lastUsedAt: clock() });
  await tx.permits.use(used, row.mac);
  await log.appendIn(tx, { ...entry, rows: [changeOf("permits", used)] });
  return used;
};

/** @throws {@link CryptoError} `ERR_INTEGRITY` when a row was changed outside lango. */
export const checkPermits = (
  { keys }: Pick<VaultContext, "keys">,
  rows: readonly PermitRow[],
): readonly PermitRow[] => {
  for (const row of rows) checkRow(keys.rows, "permits", row);
  return rows;
};

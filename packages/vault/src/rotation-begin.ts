import { setImmediate } from "node:timers/promises";
import { bytesEqual } from "@lango/crypto-core";
import type { DataKeyRow, KeyRow, StoreTransaction } from "@lango/store";
import { newDataKeyRow } from "./active-data-keys.ts";
import type { RowChange } from "./audit/entry.ts";
import { changeOf } from "./audit/row-hashes.ts";
import { SECRETS, sealsRowsOnly } from "./names.ts";
import { checkNoOrphans } from "./orphans.ts";
import type { RewrapContext } from "./rewrap.ts";
import { findRotation, newRotationJob, underWay } from "./rotation-job.ts";
import type { RotationStatus } from "./rotation-types.ts";
import { checkRow, withMac } from "./rows.ts";
import { reached } from "./stages.ts";

/** A key of the registry, and the data key that shall take its new values. */
interface Fresh {
  readonly key: KeyRow;
  readonly dataKey: DataKeyRow;
}

/**
 * Makes the new data keys and the job in one transaction: from its commit on nothing is sealed under the old ones. A key without
 * data keys gets none, and a provider that cannot be reached ends it before anything is changed. A key that is disabled gets one for
 * its old values too; it takes no new ones.
 *
 * @throws {@link CryptoError} `ERR_CONFLICT` when a rotation has not ended, and when there are too many data keys to list;
 *   `ERR_INTEGRITY` for versions of which no row says whose they are.
 */
export const beginRotation = async (parts: RewrapContext): Promise<void> => {
  const { context, registry, providers } = parts;
  const { store, keys } = context;
  for (;;) {
    const existing = await findRotation(store, keys.rows);
    if (existing) throw underWay(existing.status);
    await checkNoOrphans(store);
    const old = await oldDataKeys(parts);
    const owners = new Set(old.map(({ keyId }) => keyId));
    const fresh: Fresh[] = [];
    for (const key of await registry.list()) {
      if (!owners.has(key.id)) continue;
      const place = { key, domain: SECRETS, unavailable: undefined };
      fresh.push({ key, dataKey: await newDataKeyRow(context, providers, place) });
    }
    const total = await countSealedBy(parts, old);
    reached("rotate:wrapped");
    const begun = await store.transaction("full", (tx) => beginIn(tx, parts, fresh, total));
    if (begun) return;
  }
};

/** Those whose values are all in the rows of the vault. Others may have sealed what cannot be sealed again, and stay. */
const oldDataKeys = async ({
  context: { store, keys },
}: Pick<RewrapContext, "context">): Promise<DataKeyRow[]> => {
  const all = await store.dataKeys.list();
  // All, since an altered row may pass for one that is retired.
  for (const row of all) checkRow(keys.rows, "data_keys", row);
  return all.filter(isOld);
};

const isOld = ({ domain, state }: DataKeyRow): boolean =>
  sealsRowsOnly(domain) && state !== "retired";

const countSealedBy = async (
  { context: { store } }: Pick<RewrapContext, "context">,
  rows: readonly Pick<DataKeyRow, "id">[],
): Promise<number> => {
  let total = 0;
  for (const { id } of rows) {
    total += await store.secrets.countSealedBy(id);
    await setImmediate();
  }
  return total;
};

/** False when the keys are not what the new data keys were made for: they have to be made again. */
const beginIn = async (
  tx: StoreTransaction,
  { context: { keys, log, clock } }: RewrapContext,
  fresh: readonly Fresh[],
  total: number,
): Promise<boolean> => {
  const existing = await findRotation(tx, keys.rows);
  if (existing) throw underWay(existing.status);
  const owners = new Map(fresh.map(({ key }) => [key.id, key]));
  for (const key of owners.values()) {
    const now = await tx.keys.find(key.id);
    if (!now || !bytesEqual(now.mac, key.mac)) return false;
  }
  const old = (await tx.dataKeys.list()).filter(isOld);
  if (old.some(({ keyId }) => !owners.has(keyId))) return false;
  const rows: RowChange[] = [];
  for (const before of old) {
    checkRow(keys.rows, "data_keys", before);
    if (before.state !== "active") continue;
    const after = withMac(keys.rows, "data_keys", { ...before, state: "decrypt-only" });
    await tx.dataKeys.update(after, before.mac);
    rows.push(changeOf("data_keys", after));
  }
  for (const { dataKey } of fresh) {
    await tx.dataKeys.insert(dataKey);
    rows.push(changeOf("data_keys", dataKey));
  }
  const status: RotationStatus = {
    startedAt: clock(),
    dataKeys: old.map(({ id }) => id),
    total,
  };
  const job = newRotationJob(keys.rows, status);
  await tx.jobs.put(job);
  rows.push(changeOf("jobs", job));
  reached("rotate:begun");
  const detail = `${old.length} data keys to leave, ${total} values`;
  await log.appendIn(tx, { action: "rotation.start", detail, rows });
  return true;
};

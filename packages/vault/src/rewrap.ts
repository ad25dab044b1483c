import { bytesEqual, zero } from "@lango/crypto-core";
import type { DataKeyRow, KeyRow } from "@lango/store";
import { changeOf } from "./audit/row-hashes.ts";
import type { VaultContext } from "./context.ts";
import {
  isWrappedFor,
  type ProvidersByScheme,
  strangeWrapper,
  unwrapDataKey,
  wrapProven,
} from "./data-key-wrap.ts";
import { type KeyRegistry, keyUri, LOCAL, providerOf } from "./key-registry.ts";
import type { RewrapOptions } from "./provider-types.ts";
import { checkRow, withMac } from "./rows.ts";
import { reached } from "./stages.ts";

export interface RewrapContext {
  readonly context: VaultContext;
  readonly registry: KeyRegistry;
  readonly providers: ProvidersByScheme;
}

/**
 * Has providers wrap data keys of their keys: degraded ones, and with `all` those of older versions. The data key itself stays,
 * so no value is touched and no process that has it opened notices.
 *
 * @param scheme - Only keys of this provider. Default: all.
 * @returns How many were wrapped.
 * @throws The first error, after the keys that it does not concern were done.
 */
export const rewrapDataKeys = async (
  parts: RewrapContext,
  { all = false, onProgress, signal }: RewrapOptions,
  scheme?: string,
): Promise<number> => {
  const { context, registry } = parts;
  const rows = await context.store.dataKeys.list();
  const failures: unknown[] = [];
  let done = 0;
  let rewrapped = 0;
  const jobs: { readonly key: KeyRow; readonly rows: readonly DataKeyRow[] }[] = [];
  for (const key of await registry.list()) {
    if (key.provider === LOCAL || (scheme !== undefined && key.provider !== scheme)) continue;
    const own = rows.filter(({ keyId, state }) => keyId === key.id && state !== "retired");
    try {
      const isOld = all && own.length > 0 ? await olderThanNow(parts, key, signal) : () => false;
      jobs.push({ key, rows: own.filter((row) => row.degraded || isOld(row)) });
    } catch (error) {
      failures.push(error);
    }
  }
  const total = jobs.reduce((sum, job) => sum + job.rows.length, 0);
  for (const job of jobs) {
    try {
      for (const row of job.rows) {
        signal?.throwIfAborted();
        if (await rewrapOne(parts, job.key, row, signal)) rewrapped += 1;
        done += 1;
        onProgress?.({ done, total });
      }
    } catch (error) {
      signal?.throwIfAborted();
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
  return rewrapped;
};

/** Tells which wraps are of another version than the one that the provider would use now. */
const olderThanNow = async (
  { providers }: RewrapContext,
  key: KeyRow,
  signal: AbortSignal | undefined,
): Promise<(row: DataKeyRow) => boolean> => {
  const provider = providerOf(key.provider, providers);
  const { keyVersion } = await provider.describeKey({ keyId: key.remoteKeyId ?? key.name, signal });
  return ({ wrapVersion }) => wrapVersion !== keyVersion;
};

/** Whether this process did it: another may have been faster, or a migration may have wrapped this row meanwhile. */
const rewrapOne = async (
  { context, providers }: RewrapContext,
  key: KeyRow,
  row: DataKeyRow,
  signal: AbortSignal | undefined,
): Promise<boolean> => {
  const { store, keys, log } = context;
  checkRow(keys.rows, "data_keys", row);
  const next = await wrappedAnew({ context, providers }, row, key, key, signal);
  reached("rewrap:wrapped");
  return store.transaction("full", async (tx) => {
    const current = await tx.dataKeys.find(row.id);
    if (!current || !bytesEqual(current.mac, row.mac)) return false;
    await tx.dataKeys.update(next, row.mac);
    const rows = [changeOf("data_keys", next)];
    const detail = `data key ${row.id}`;
    await log.appendIn(tx, { action: "provider.rewrap", target: keyUri(key), detail, rows });
    return true;
  });
};

/** The row of a data key under another wrapper, or another version of it. */
export const wrappedAnew = async (
  { context, providers }: Pick<RewrapContext, "context" | "providers">,
  row: DataKeyRow,
  from: KeyRow,
  to: KeyRow,
  signal: AbortSignal | undefined,
): Promise<DataKeyRow> => {
  if (!isWrappedFor(from, row)) throw strangeWrapper(row);
  const material = await unwrapDataKey(context, providers, row, signal);
  try {
    const wrapped = await wrapProven(context, providers, to, { id: row.id, material, signal });
    return withMac(context.keys.rows, "data_keys", {
      ...row,
      ...wrapped,
      degraded: false,
      // What the fallback made opens what it sealed, and no more: new values go under a data key that was the provider's always.
      state: row.degraded && row.state === "active" ? "decrypt-only" : row.state,
    });
  } finally {
    zero(material);
  }
};

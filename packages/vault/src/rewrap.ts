import { bytesEqual, zero } from "@lango/crypto-core";
import type { DataKeyRow, KeyRow } from "@lango/store";
import { changeOf } from "./audit/row-hashes.ts";
import type { VaultContext } from "./context.ts";
import { findRewrapper, type Rewrapper, rewrapDataKey } from "./data-key-rewrap.ts";
import {
  isWrappedFor,
  type ProvidersByScheme,
  strangeWrapper,
  unwrapDataKey,
  VAULT_WRAP,
  type Wrapped,
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
  const jobs: { readonly move: Move; readonly rows: readonly DataKeyRow[] }[] = [];
  for (const key of await registry.list()) {
    if (key.provider === LOCAL || (scheme !== undefined && key.provider !== scheme)) continue;
    const own = rows.filter(({ keyId, state }) => keyId === key.id && state !== "retired");
    try {
      const isOld = all && own.length > 0 ? await olderThanNow(parts, key, signal) : () => false;
      const chosen = own.filter((row) => row.degraded || isOld(row));
      jobs.push({ move: await moveWithin(parts, key, chosen, signal), rows: chosen });
    } catch (error) {
      failures.push(error);
    }
  }
  const total = jobs.reduce((sum, job) => sum + job.rows.length, 0);
  for (const job of jobs) {
    try {
      for (const row of job.rows) {
        signal?.throwIfAborted();
        if (await rewrapOne(parts, row, job.move)) rewrapped += 1;
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

/** To the version of now. No provider is tried for degraded data keys: the vault key wraps those. */
const moveWithin = async (
  { context, providers }: RewrapContext,
  key: KeyRow,
  rows: readonly DataKeyRow[],
  signal: AbortSignal | undefined,
): Promise<Move> => {
  const rewrapper = rows.every(({ wrapUri }) => wrapUri === VAULT_WRAP)
    ? undefined
    : await findRewrapper(context, providers, key, key, signal);
  return { from: key, to: key, rewrapper, signal };
};

/** Whether this process did it: another may have been faster, or a migration may have wrapped this row meanwhile. */
const rewrapOne = async (
  { context, providers }: RewrapContext,
  row: DataKeyRow,
  move: Move,
): Promise<boolean> => {
  const { store, keys, log } = context;
  checkRow(keys.rows, "data_keys", row);
  const next = await wrappedAnew({ context, providers }, row, move);
  reached("rewrap:wrapped");
  return store.transaction("full", async (tx) => {
    const current = await tx.dataKeys.find(row.id);
    if (!current || !bytesEqual(current.mac, row.mac)) return false;
    await tx.dataKeys.update(next, row.mac);
    const rows = [changeOf("data_keys", next)];
    const detail = `data key ${row.id}`;
    await log.appendIn(tx, { action: "provider.rewrap", target: keyUri(move.to), detail, rows });
    return true;
  });
};

/** Where data keys go. */
export interface Move {
  readonly from: KeyRow;
  /** The same key, for its current version. */
  readonly to: KeyRow;
  /** Of {@link findRewrapper}. */
  readonly rewrapper: Rewrapper | undefined;
  readonly signal: AbortSignal | undefined;
}

/** The row of a data key under another wrapper, or another version of it. */
export const wrappedAnew = async (
  parts: Pick<RewrapContext, "context" | "providers">,
  row: DataKeyRow,
  move: Move,
): Promise<DataKeyRow> => {
  const { from, to, rewrapper, signal } = move;
  if (!isWrappedFor(from, row)) throw strangeWrapper(row);
  const { context } = parts;
  const wrapped =
    rewrapper && row.wrapUri !== VAULT_WRAP
      ? await rewrapDataKey(context, rewrapper, row, to, signal)
      : await unwrappedAndWrapped(parts, row, to, signal);
  return withMac(context.keys.rows, "data_keys", {
    ...row,
    ...wrapped,
    degraded: false,
    // What the fallback made opens what it sealed, and no more: new values go under a data key that was the provider's always.
    state: row.degraded && row.state === "active" ? "decrypt-only" : row.state,
  });
};

const unwrappedAndWrapped = async (
  { context, providers }: Pick<RewrapContext, "context" | "providers">,
  row: DataKeyRow,
  to: KeyRow,
  signal: AbortSignal | undefined,
): Promise<Wrapped> => {
  const material = await unwrapDataKey(context, providers, row, signal);
  try {
    return await wrapProven(context, providers, to, { id: row.id, material, signal });
  } finally {
    zero(material);
  }
};

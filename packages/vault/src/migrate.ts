import { bytesEqual, CryptoError, parseKeyUri } from "@lango/crypto-core";
import type { DataKeyRow, KeyRow, KeyVersionRow, StoreTransaction } from "@lango/store";
import type { RowChange } from "./audit/entry.ts";
import { changeOf } from "./audit/row-hashes.ts";
import { findRewrapper } from "./data-key-rewrap.ts";
import { keyInfo, keyUri, LOCAL } from "./key-registry.ts";
import { asLocalKey } from "./local-keys.ts";
import { DEFAULT_KEY } from "./names.ts";
import type { MigrateOptions, MigrateResult } from "./provider-types.ts";
import { findWrappingKey } from "./remote-key.ts";
import { type RewrapContext, wrappedAnew } from "./rewrap.ts";
import { checkRow, withMac } from "./rows.ts";
import { reached } from "./stages.ts";

/** The row of the key as it shall be, and a version of it that there is not yet. */
interface Target {
  readonly row: KeyRow;
  readonly version?: KeyVersionRow | undefined;
}

/** Puts a key of the registry under another wrapper. Runs under the vault's lock: one migration at a time. */
export const migrateKey = async (
  parts: RewrapContext,
  options: MigrateOptions,
): Promise<MigrateResult> => {
  const { registry } = parts;
  const key = await registry.find(options.key ?? DEFAULT_KEY);
  const from = keyUri(key);
  if (key.type !== "encryption") {
    const message = `Key ${from} is for ${key.type}: it wraps no data keys`;
    throw new CryptoError("ERR_KEY_USAGE", message, { context: { keyId: from } });
  }
  const target = await targetOf(parts, key, options);
  const to = keyUri(target.row);
  if (to === from) return { key: keyInfo(key), from, dataKeys: 0, notRevoked: [] };
  const same = (await registry.list()).find((row) => row.id !== key.id && keyUri(row) === to);
  if (same) {
    throw new CryptoError("ERR_CONFLICT", `Key ${to} is registered as ${same.name} already`, {
      context: { hint: 'Name another; "lango security provider migrate --create" makes one' },
    });
  }
  reached("migrate:proven");
  const dataKeys = await swap(parts, key, target, options);
  reached("migrate:done");
  return { key: keyInfo(target.row), from, dataKeys, notRevoked: notRevoked(from, to) };
};

const targetOf = async (
  { context, providers }: RewrapContext,
  key: KeyRow,
  { to, signal }: MigrateOptions,
): Promise<Target> => {
  const { scheme, keyId } = parseKeyUri(to);
  if (scheme !== LOCAL) {
    const columns = await findWrappingKey(context, providers, to, signal);
    return { row: withMac(context.keys.rows, "keys", { ...key, ...columns }) };
  }
  if (keyId !== key.name) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", `Key ${key.name} cannot become ${to}`, {
      context: { hint: `Back under the vault key it is ${LOCAL}:${key.name}` },
    });
  }
  if (key.provider === LOCAL) return { row: key };
  return asLocalKey(context, key);
};

/**
 * Wraps every data key of the key that is not retired, then changes all rows in one transaction. What others added or changed
 * meanwhile is wrapped in another round.
 */
const swap = async (
  parts: RewrapContext,
  key: KeyRow,
  target: Target,
  { onProgress, signal }: MigrateOptions,
): Promise<number> => {
  const { context, providers } = parts;
  const rewrapper = await findRewrapper(context, providers, key, target.row, signal);
  const move = { from: key, to: target.row, rewrapper, signal };
  /** By id: the row that was wrapped, and what it becomes. */
  const made = new Map<string, { readonly before: DataKeyRow; readonly after: DataKeyRow }>();
  const isMade = (row: DataKeyRow): boolean => {
    const known = made.get(row.id);
    return known !== undefined && bytesEqual(known.before.mac, row.mac);
  };
  for (;;) {
    const all = await context.store.dataKeys.list();
    // All, since an altered row may name another key; and before a new MAC would make one of them look as lango wrote it.
    for (const row of all) checkRow(context.keys.rows, "data_keys", row);
    const own = all.filter((row) => isMoved(row, key));
    const ids = new Set(own.map(({ id }) => id));
    for (const id of made.keys()) if (!ids.has(id)) made.delete(id);
    for (const before of own) {
      if (isMade(before)) continue;
      signal?.throwIfAborted();
      const after = await wrappedAnew(parts, before, move);
      made.set(before.id, { before, after });
      onProgress?.({ done: made.size, total: own.length });
    }
    reached("migrate:wrapped");
    signal?.throwIfAborted();
    const changed = await context.store.transaction("full", (tx) =>
      swapIn(tx, parts, key, target, [...made.values()]),
    );
    if (changed) return made.size;
  }
};

/** What is retired opens nothing: there is nothing to wrap. */
const isMoved = ({ keyId, state }: DataKeyRow, key: KeyRow): boolean =>
  keyId === key.id && state !== "retired";

/** False when there is a data key that was not wrapped as it is now; nothing is changed then. */
const swapIn = async (
  tx: StoreTransaction,
  { context: { log } }: RewrapContext,
  key: KeyRow,
  { row, version }: Target,
  made: readonly { readonly before: DataKeyRow; readonly after: DataKeyRow }[],
): Promise<boolean> => {
  const befores = new Map(made.map(({ before }) => [before.id, before]));
  for (const current of await tx.dataKeys.list()) {
    if (!isMoved(current, key)) continue;
    const before = befores.get(current.id);
    if (!before || !bytesEqual(before.mac, current.mac)) return false;
    befores.delete(current.id);
  }
  // One was destroyed meanwhile.
  if (befores.size > 0) return false;
  await tx.keys.update(row, key.mac);
  const rows: RowChange[] = [changeOf("keys", row)];
  if (version) {
    await tx.keys.insertVersion(version);
    rows.push(changeOf("key_versions", version));
  }
  for (const { before, after } of made) {
    await tx.dataKeys.update(after, before.mac);
    rows.push(changeOf("data_keys", after));
  }
  reached("migrate:written");
  const detail = `to ${keyUri(row)}, ${made.length} data keys`;
  await log.appendIn(tx, { action: "provider.migrate", target: keyUri(key), detail, rows });
  reached("migrate:audited");
  return true;
};

const notRevoked = (from: string, to: string): string[] => {
  const copies =
    "The data keys are the same, only wrapped anew: rotate them to shut out whoever has opened them before.";
  const local = from.startsWith(`${LOCAL}:`);
  const old = local
    ? "Copies of lango.db from before open with the vault key alone, and so with any credential of a keyslot of that time."
    : `Copies of lango.db from before open with ${from}, for whoever may use it: disable it there once no copy is needed.`;
  const toLocal = to.startsWith(`${LOCAL}:`)
    ? [
        "From now on the vault key wraps the data keys: every credential of a keyslot opens the values.",
      ]
    : [
        "A passphrase or other keyslot still opens the vault key: the log, local keys, names and times.",
      ];
  return [old, copies, ...toLocal];
};

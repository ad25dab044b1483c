import type { Original } from "@lango/compat";
import { bytesEqual, CryptoError, zero } from "@lango/crypto-core";
import type { Vault } from "@lango/vault";
import type { Brought } from "./import-plan.ts";

const ACTION = "secret.import";

export interface ImportOptions {
  readonly original: Original;
  /** Of the database of the original, for the log. */
  readonly file: string;
  readonly bring: readonly Brought[];
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/** Names in the vault. */
export interface Imported {
  readonly brought: readonly string[];
  /** Those that were there with the same value. */
  readonly already: readonly string[];
}

/**
 * Brings secrets of the original into a vault, and reads each of them back. Interrupted, it is called again: what is there with
 * the same value is passed over.
 *
 * @throws CryptoError `ERR_CONFLICT`, before anything is written, for names that the vault has with another value.
 */
export async function importSecrets(vault: Vault, options: ImportOptions): Promise<Imported> {
  const { original, file, bring, signal, onProgress } = options;
  const already = await namesThere(vault, options);
  const missing = bring.filter(({ name }) => !already.has(name));
  for (const [done, { from, name }] of missing.entries()) {
    signal.throwIfAborted();
    onProgress(already.size + done, bring.length);
    const value = original.read(from);
    try {
      await vault.secrets.set(name, value, { createOnly: true });
    } finally {
      zero(value);
    }
  }
  const { same, differs } = await compare(vault, options);
  const wrong = bring.find(({ name }) => differs.includes(name) || !same.has(name));
  if (wrong !== undefined) {
    throw new CryptoError("ERR_INTEGRITY", `The secret ${wrong.name} does not read back as it was`);
  }
  onProgress(bring.length, bring.length);
  if (missing.length > 0 || (await vault.audit.findLast(ACTION)) === undefined) {
    const detail = `${missing.length} brought, ${already.size} were there, from ${file}`;
    await vault.audit.append({ action: ACTION, detail: detail.slice(0, 1024).toWellFormed() });
  }
  return { brought: missing.map(({ name }) => name), already: [...already] };
}

async function namesThere(vault: Vault, options: ImportOptions): Promise<ReadonlySet<string>> {
  const wanted = new Set(options.bring.map(({ name }) => name));
  const listed = await vault.secrets.list();
  if (!listed.some(({ name }) => wanted.has(name))) return new Set();
  const { same, differs } = await compare(vault, options);
  if (differs.length === 0) return same;
  throw new CryptoError(
    "ERR_CONFLICT",
    `The vault has other values for ${differs.join(", ")} than ${options.file}`,
    {
      context: {
        hint: "Nothing was overwritten; delete or rename what is not wanted, then run the command again.",
      },
    },
  );
}

/** Which of the secrets have the same value in the vault, and which another one. */
async function compare(
  vault: Vault,
  { original, bring, signal }: ImportOptions,
): Promise<{ readonly same: ReadonlySet<string>; readonly differs: readonly string[] }> {
  const fromOf = new Map(bring.map(({ from, name }) => [name, from]));
  const [same, differs] = [new Set<string>(), [] as string[]];
  // One row of the log for all of them.
  const { values } = await vault.secrets.loadAll();
  for await (const loaded of values) {
    signal.throwIfAborted();
    const from = fromOf.get(loaded.name);
    if (from === undefined) {
      zero(loaded.value);
      continue;
    }
    if (loaded.value === undefined) throw loaded.error;
    const value = original.read(from);
    if (bytesEqual(value, loaded.value)) same.add(loaded.name);
    else differs.push(loaded.name);
    zero(value, loaded.value);
  }
  return { same, differs };
}

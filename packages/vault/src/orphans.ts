import { CryptoError } from "@lango/crypto-core";
import type { OrphanVersion, StoreReads, StoreTransaction } from "@lango/store";
import { decodeEntry, type RowChange } from "./audit/entry.ts";
import type { VaultContext } from "./context.ts";
import { sha256Hex } from "./rows.ts";

/** A version whose secret has lost its row, and what the log calls it. */
interface Named {
  readonly orphan: OrphanVersion;
  /** `secrets/NAME@VERSION`; absent for one that is not in the log. */
  readonly name: string | undefined;
}

const PAGE = 500;

/** @throws {@link CryptoError} `ERR_INTEGRITY`, with their names: data keys are destroyed only when no version needs them. */
export const checkNoOrphans = async (store: StoreReads): Promise<void> => {
  const found = await store.secrets.listOrphans(MAX_NAMED);
  if (found.length === 0) return;
  const names = (await namesOf(store, found)).map(textOf).join(", ");
  throw new CryptoError("ERR_INTEGRITY", `Versions whose secrets have lost their rows: ${names}`, {
    context: {
      hint: "Put the rows back from a backup, or remove what nothing opens: lango keys retire --orphans",
    },
  });
};

/** What an error names at most. */
const MAX_NAMED = 10;

export const listOrphans = async (store: StoreReads): Promise<string[]> =>
  (await namesOf(store, await store.secrets.listOrphans(PAGE))).map(textOf);

/** Removes versions whose secret has no row, and says so in the log. @returns Their names. */
export const removeOrphans = async ({
  store,
  log,
}: Pick<VaultContext, "store" | "log">): Promise<string[]> => {
  const removed: Named[] = [];
  for (;;) {
    const found = await namesOf(store, await store.secrets.listOrphans(PAGE));
    if (found.length === 0) return removed.map(textOf);
    await store.transaction("full", async (tx) => {
      const gone: Named[] = [];
      const rows: RowChange[] = [];
      for (const each of found) {
        // Else its secret was put back meanwhile.
        if (!(await tx.secrets.removeOrphan(each.orphan))) continue;
        gone.push(each);
        rows.push(...(await lostRows(tx, each)));
      }
      removed.push(...gone);
      if (gone.length === 0) return;
      const detail = gone.map(textOf).slice(0, MAX_NAMED).join(", ");
      await log.appendIn(tx, { action: "secret.remove-orphans", detail, rows });
    });
  }
};

/** What the log expects and is not there any more. A secret that was made since has its name, and versions of its own. */
const lostRows = async (tx: StoreTransaction, { orphan, name }: Named): Promise<RowChange[]> => {
  if (name === undefined) return [];
  const secret = name.slice(0, name.lastIndexOf("@"));
  const slash = secret.indexOf("/");
  const now = await tx.secrets.describe(secret.slice(0, slash), secret.slice(slash + 1));
  if (now && (await tx.secrets.findVersion(now.id, orphan.version))) return [];
  const version: RowChange = ["secret_versions", name, null];
  return now ? [version] : [version, ["secrets", secret, null]];
};

const textOf = ({ orphan, name }: Named): string =>
  name ?? `version ${orphan.version} of ${orphan.secretId}`;

/** The log knows versions by their sealed bytes. */
const namesOf = async (
  store: Pick<StoreReads, "audit">,
  found: readonly OrphanVersion[],
): Promise<Named[]> => {
  const names = new Map<string, string | undefined>(
    found.map(({ sealed }) => [sha256Hex(sealed), undefined]),
  );
  for (let from = 1; found.length > 0; ) {
    const page = await store.audit.page(from, PAGE);
    const last = page.at(-1);
    if (!last) break;
    from = last.seq + 1;
    for (const [table, row, hash] of page.flatMap(({ entry }) => decodeEntry(entry)?.rows ?? [])) {
      if (table === "secret_versions" && hash !== null && names.has(hash)) names.set(hash, row);
    }
  }
  return found.map((orphan) => ({ orphan, name: names.get(sha256Hex(orphan.sealed)) }));
};

import { setImmediate } from "node:timers/promises";
import { bytesEqual, CryptoError } from "@lango/crypto-core";
import type { RawRow, Store, StoreReads } from "@lango/store";
import { MOVE_JOB } from "./place.ts";
import { reached } from "./stages.ts";
import type { MoveProgress } from "./types.ts";

const PAGE_ROWS = 256;
/** Sealed values of a page together, so that large ones do not fill the memory; also read twice when compared. */
const PAGE_BYTES = 8 * 1024 * 1024;

export interface CopyOptions {
  /** What copies: the first word of the stages that it names. */
  readonly name: "move" | "backup";
  readonly onProgress?: ((progress: MoveProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Copies every row of every table but the slots, and then reads both again and compares them row by row.
 *
 * @param from - Nobody may write to it meanwhile, or its reads are all of one moment.
 * @param to - Empty, but for the job that says who fills it.
 * @returns How many rows there are.
 * @throws {@link CryptoError} `ERR_INTEGRITY` naming a row that is not the same in both.
 */
export const copyStore = async (
  from: Pick<StoreReads, "copy">,
  to: Store,
  { name, onProgress, signal }: CopyOptions,
): Promise<number> => {
  let total = 0;
  for (const table of from.copy.tables) total += await from.copy.count(table);
  const walk = async (
    stage: MoveProgress["stage"],
    onPage: (table: string, page: readonly RawRow[]) => Promise<void>,
  ): Promise<void> => {
    let done = 0;
    for (const table of from.copy.tables) {
      for await (const page of pagesOf(from, table)) {
        signal?.throwIfAborted();
        await onPage(table, page);
        done += page.length;
        onProgress?.({ stage, done, total });
        reached(`${name}:${stage}`);
      }
    }
  };
  await walk("copy", (table, page) =>
    // Lost in a power cut before the last transaction, these rows are copied again.
    to.transaction("normal", (tx) => tx.copy.insert(table, moving(table, page))),
  );
  const others = new Map<string, Rows>();
  await walk("verify", async (table, page) => {
    let rows = others.get(table);
    if (rows === undefined) {
      rows = rowsOf(to, table);
      others.set(table, rows);
    }
    for (const row of moving(table, page)) {
      const { value } = await rows.next();
      if (value === undefined || !isSame(row, value)) throw differs(table, row);
    }
  });
  for (const table of from.copy.tables) {
    const { value } = await (others.get(table) ?? rowsOf(to, table)).next();
    if (value !== undefined) throw differs(table, value);
  }
  return total;
};

type Rows = AsyncGenerator<RawRow, undefined, undefined>;

async function* pagesOf(
  { copy }: Pick<StoreReads, "copy">,
  table: string,
): AsyncGenerator<RawRow[], undefined, undefined> {
  let after: RawRow | undefined;
  do {
    const page = await copy.page(table, { after, limit: PAGE_ROWS, maxBytes: PAGE_BYTES });
    if (page.length > 0) yield page;
    after = page.at(-1);
    await setImmediate();
  } while (after !== undefined);
}

async function* rowsOf(store: Pick<StoreReads, "copy">, table: string): Rows {
  for await (const page of pagesOf(store, table)) yield* moving(table, page);
  return undefined;
}

/** The job of the move itself stays where it is. */
const moving = (table: string, rows: readonly RawRow[]): readonly RawRow[] =>
  table === "jobs" ? rows.filter((row) => row["kind"] !== MOVE_JOB) : rows;

/** Counted without the log, and so also by others during the copy; they only grow. */
const COUNTERS: ReadonlySet<string> = new Set(["uses", "last_used_at", "messages", "bytes"]);

const isSame = (source: RawRow, copy: RawRow): boolean =>
  Object.keys(source).every((column) => {
    const [now, then] = [source[column], copy[column]];
    if (now instanceof Uint8Array && then instanceof Uint8Array) return bytesEqual(now, then);
    return now === then || (COUNTERS.has(column) && Number(now) >= Number(then));
  });

const differs = (table: string, row: RawRow): CryptoError => {
  const name = Object.values(row).find((value) => !(value instanceof Uint8Array));
  return new CryptoError(
    "ERR_INTEGRITY",
    `Row ${name} of table ${table} is not the same in both databases`,
    {
      context: { hint: "Nothing was changed; try again" },
    },
  );
};

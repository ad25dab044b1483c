import { sql } from "kysely";
import type { Reseal, SealedVersion } from "../rows.ts";
import { type Executor, type ReadExecutor, statement } from "../statement.ts";
import type { SealedPage, SecretReads, SecretRows, VersionPlace } from "../store.ts";
import { retired } from "./data-keys.ts";
import { checkLimit } from "./limit.ts";
import { SECRET } from "./secret-columns.ts";

const COLUMNS = [
  ...SECRET,
  "secret_versions.version",
  "secret_versions.data_key_id as dataKeyId",
  "secret_versions.sealed",
  "secret_versions.size",
] as const;

type OfDataKey = { readonly dataKeyId: string; readonly limit: number };
type After = VersionPlace & { readonly limit: number };

const LENGTHS_BY = statement((q, p: OfDataKey) =>
  q
    .selectFrom("secret_versions")
    .where("data_key_id", "=", p.dataKeyId)
    .limit(p.limit)
    .select(sql<number>`length(sealed)`.as("bytes")),
);

const LIST_BY = statement((q, p: OfDataKey) =>
  q
    .selectFrom("secret_versions")
    .innerJoin("secrets", "secrets.id", "secret_versions.secret_id")
    .where("secret_versions.data_key_id", "=", p.dataKeyId)
    .limit(p.limit)
    .select(COLUMNS),
);

const LENGTHS_AFTER = statement((q, p: After) =>
  q
    .selectFrom("secret_versions")
    .where(({ eb, refTuple, tuple }) =>
      eb(refTuple("secret_id", "version"), ">", tuple(p.id, p.version)),
    )
    .orderBy("secret_id")
    .orderBy("version")
    .limit(p.limit)
    .select(sql<number>`length(sealed)`.as("bytes")),
);

const LIST_AFTER = statement((q, p: After) =>
  q
    .selectFrom("secret_versions")
    .innerJoin("secrets", "secrets.id", "secret_versions.secret_id")
    .where(({ eb, refTuple, tuple }) =>
      eb(
        refTuple("secret_versions.secret_id", "secret_versions.version"),
        ">",
        tuple(p.id, p.version),
      ),
    )
    .orderBy("secret_versions.secret_id")
    .orderBy("secret_versions.version")
    .limit(p.limit)
    .select(COLUMNS),
);

const COUNT_BY = statement((q, p: { dataKeyId: string }) =>
  q
    .selectFrom("secret_versions")
    .where("data_key_id", "=", p.dataKeyId)
    .select((eb) => eb.fn.countAll<number>().as("count")),
);

// As when a value is written: the data key must be active in the very statement that uses it.
const RESEAL = statement((q, p: Reseal) =>
  q
    .updateTable("secret_versions")
    .set({ sealed: p.sealed, data_key_id: p.dataKeyId })
    .where("secret_id", "=", p.secretId)
    .where("version", "=", p.version)
    .where("sealed", "=", p.before)
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom("data_keys")
          .where("id", "=", p.dataKeyId)
          .where("state", "=", sql.lit("active" as const))
          .select("id"),
      ),
    ),
);

const IS_ACTIVE = statement((q, p: { id: string }) =>
  q
    .selectFrom("data_keys")
    .where("id", "=", p.id)
    .where("state", "=", sql.lit("active" as const))
    .select("id"),
);

type SealedReads = Pick<SecretReads, "listSealedBy" | "walkSealed" | "countSealedBy">;

export const sealedReads = (executor: ReadExecutor): SealedReads => ({
  listSealedBy: (dataKeyId, page) =>
    readPage(
      page,
      (limit) => executor.all(LENGTHS_BY, { dataKeyId, limit }),
      (limit) => executor.all(LIST_BY, { dataKeyId, limit }),
    ),

  walkSealed: ({ id, version } = { id: "", version: 0 }, page) =>
    readPage(
      page,
      (limit) => executor.all(LENGTHS_AFTER, { id, version, limit }),
      (limit) => executor.all(LIST_AFTER, { id, version, limit }),
    ),

  countSealedBy: async (dataKeyId) =>
    Number((await executor.first(COUNT_BY, { dataKeyId }))?.count ?? 0),
});

/** Values have up to a megabyte, so a page ends by their bytes too: their lengths are looked at first. */
const readPage = async (
  { limit, maxBytes }: SealedPage,
  lengths: (limit: number) => Promise<{ readonly bytes: number }[]>,
  rows: (limit: number) => Promise<SealedVersion[]>,
): Promise<SealedVersion[]> => {
  checkLimit(limit);
  const count = fitting(await lengths(limit), maxBytes);
  return count === 0 ? [] : rows(count);
};

const fitting = (lengths: readonly { readonly bytes: number }[], maxBytes: number): number => {
  let sum = 0;
  const over = lengths.findIndex(({ bytes }) => {
    sum += bytes;
    return sum > maxBytes;
  });
  return over === -1 ? lengths.length : Math.max(1, over);
};

export const sealedRows = (executor: Executor): SealedReads & Pick<SecretRows, "reseal"> => ({
  ...sealedReads(executor),

  async reseal(values) {
    const done: boolean[] = [];
    for (const value of values) {
      const changed = (await executor.run(RESEAL, value)) > 0;
      // Not because of the value: then none of the others would take it either.
      if (!changed && !(await executor.first(IS_ACTIVE, { id: value.dataKeyId }))) {
        throw executor.abandon(retired(value.dataKeyId));
      }
      done.push(changed);
    }
    return done;
  },
});

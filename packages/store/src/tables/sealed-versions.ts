import { sql } from "kysely";
import type { Reseal } from "../rows.ts";
import { type Executor, type ReadExecutor, statement } from "../statement.ts";
import type { SealedPage, SecretReads, SecretRows, VersionPlace } from "../store.ts";
import { retired } from "./data-keys.ts";
import { checkLimit } from "./limit.ts";
import { SECRET } from "./secret-columns.ts";

const SEALED = [
  "secret_versions.version",
  "secret_versions.data_key_id as dataKeyId",
  "secret_versions.sealed",
  "secret_versions.size",
] as const;

const LENGTH = sql<number>`length(sealed)`.as("length");

type OfDataKey = { readonly dataKeyId: string; readonly limit: number; readonly skip: number };
type After = VersionPlace & { readonly limit: number };

const BYTES_BY = statement((q, p: OfDataKey) =>
  q
    .selectFrom((eb) =>
      eb
        .selectFrom("secret_versions")
        .where("data_key_id", "=", p.dataKeyId)
        .limit(p.limit)
        .offset(p.skip)
        .select(LENGTH)
        .as("page"),
    )
    .select((eb) => eb.fn.sum<number | null>("length").as("bytes")),
);

const LIST_BY = statement((q, p: OfDataKey) =>
  q
    .selectFrom("secret_versions")
    .innerJoin("secrets", "secrets.id", "secret_versions.secret_id")
    .where("secret_versions.data_key_id", "=", p.dataKeyId)
    .limit(p.limit)
    .offset(p.skip)
    .select([...SECRET, ...SEALED]),
);

const BYTES_AFTER = statement((q, p: After) =>
  q
    .selectFrom((from) =>
      from
        .selectFrom("secret_versions")
        .where(({ eb, refTuple, tuple }) =>
          eb(refTuple("secret_id", "version"), ">", tuple(p.id, p.version)),
        )
        .orderBy("secret_id")
        .orderBy("version")
        .limit(p.limit)
        .select(LENGTH)
        .as("page"),
    )
    .select((eb) => eb.fn.sum<number | null>("length").as("bytes")),
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
    .select(["secrets.id", "secrets.collection", "secrets.name", ...SEALED]),
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
  listSealedBy: (dataKeyId, page, skip = 0) =>
    readPage(
      page,
      (limit) => executor.first(BYTES_BY, { dataKeyId, limit, skip }),
      (limit) => executor.all(LIST_BY, { dataKeyId, limit, skip }),
    ),

  walkSealed: ({ id, version } = { id: "", version: 0 }, page) =>
    readPage(
      page,
      (limit) => executor.first(BYTES_AFTER, { id, version, limit }),
      (limit) => executor.all(LIST_AFTER, { id, version, limit }),
    ),

  countSealedBy: async (dataKeyId) =>
    Number((await executor.first(COUNT_BY, { dataKeyId }))?.count ?? 0),
});

/** A value has up to a megabyte, and a row need not be read for its length: a page that would be too large is halved. */
const readPage = async <R>(
  { limit, maxBytes }: SealedPage,
  look: (limit: number) => Promise<{ readonly bytes: number | null } | undefined>,
  read: (limit: number) => Promise<R[]>,
): Promise<R[]> => {
  checkLimit(limit);
  let rows = limit;
  while (rows > 1 && Number((await look(rows))?.bytes ?? 0) > maxBytes) rows = Math.ceil(rows / 2);
  return read(rows);
};

export const sealedRows = (executor: Executor): SealedReads & Pick<SecretRows, "reseal"> => ({
  ...sealedReads(executor),

  async reseal(values) {
    const changes = await executor.runEach(RESEAL, values);
    const done = changes.map((count) => count > 0);
    for (const { dataKeyId } of values.filter((_, index) => !done[index])) {
      // Not because of the value: then none of the others would take it either.
      if (!(await executor.first(IS_ACTIVE, { id: dataKeyId }))) {
        throw executor.abandon(retired(dataKeyId));
      }
    }
    return done;
  },
});

import type { OrphanVersion } from "../rows.ts";
import { type Executor, type ReadExecutor, statement } from "../statement.ts";
import type { SecretReads, SecretRows } from "../store.ts";
import { checkLimit } from "./limit.ts";

const LIST = statement((q, p: { limit: number }) =>
  q
    .selectFrom("secret_versions")
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom("secrets")
            .whereRef("secrets.id", "=", "secret_versions.secret_id")
            .select("secrets.id"),
        ),
      ),
    )
    .orderBy("secret_id")
    .orderBy("version")
    .limit(p.limit)
    .select(["secret_id as secretId", "version", "data_key_id as dataKeyId", "sealed"]),
);

const REMOVE = statement((q, p: { secretId: string; version: number }) =>
  q
    .deleteFrom("secret_versions")
    .where("secret_id", "=", p.secretId)
    .where("version", "=", p.version)
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom("secrets").where("id", "=", p.secretId).select("id"))),
    ),
);

export const orphanReads = (executor: ReadExecutor): Pick<SecretReads, "listOrphans"> => ({
  async listOrphans(limit) {
    checkLimit(limit);
    return executor.all(LIST, { limit });
  },
});

export const orphanRows = (executor: Executor): Pick<SecretRows, "removeOrphan"> => ({
  removeOrphan: async ({ secretId, version }: OrphanVersion) =>
    (await executor.run(REMOVE, { secretId, version })) > 0,
});

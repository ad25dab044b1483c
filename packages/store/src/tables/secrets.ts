import { CryptoError } from "@lango/crypto-core";
import { sql } from "kysely";
import type { SecretRow, SecretVersionRow } from "../rows.ts";
import { changed, type Executor, type ReadExecutor, statement } from "../statement.ts";
import type { SecretChange, SecretReads, SecretRows } from "../store.ts";
import { count } from "./counters.ts";
import { retired } from "./data-keys.ts";
import { checkLimit } from "./limit.ts";
import { orphanReads, orphanRows } from "./orphans.ts";
import { sealedReads, sealedRows } from "./sealed-versions.ts";
import { SECRET } from "./secret-columns.ts";
import { walkReads, walkRows } from "./secret-walk.ts";

const DEFAULT_PAGE = 500;

const VERSION_INFO = [
  "secret_id as secretId",
  "version",
  "data_key_id as dataKeyId",
  "size",
  "created_at as createdAt",
] as const;

// A tombstone has no versions, so the join leaves it out.
const FIND = statement((q, p: { collection: string; name: string }) =>
  q
    .selectFrom("secrets")
    .innerJoin("secret_versions", (join) =>
      join
        .onRef("secret_versions.secret_id", "=", "secrets.id")
        .onRef("secret_versions.version", "=", "secrets.current_version"),
    )
    .where("secrets.collection", "=", p.collection)
    .where("secrets.name", "=", p.name)
    .select([
      ...SECRET,
      "secret_versions.data_key_id as dataKeyId",
      "secret_versions.sealed",
      "secret_versions.size",
    ]),
);

const DESCRIBE = statement((q, p: { collection: string; name: string }) =>
  q
    .selectFrom("secrets")
    .where("collection", "=", p.collection)
    .where("name", "=", p.name)
    .select(SECRET),
);

const FIND_VERSION = statement((q, p: { secretId: string; version: number }) =>
  q
    .selectFrom("secret_versions")
    .where("secret_id", "=", p.secretId)
    .where("version", "=", p.version)
    .select([...VERSION_INFO, "sealed"]),
);

const LIST_VERSIONS = statement((q, p: { secretId: string }) =>
  q
    .selectFrom("secret_versions")
    .where("secret_id", "=", p.secretId)
    .orderBy("version", "desc")
    .select(VERSION_INFO),
);

const LIST = statement((q, p: { collection: string; after: string; limit: number }) =>
  q
    .selectFrom("secrets")
    .where("collection", "=", p.collection)
    .where("name", ">", p.after)
    .where("deleted_at", "is", null)
    .orderBy("name")
    .limit(p.limit)
    .select(SECRET),
);

const INSERT = statement((q, p: SecretRow) =>
  q.insertInto("secrets").values({
    id: p.id,
    collection: p.collection,
    name: p.name,
    key_id: p.keyId,
    current_version: p.currentVersion,
    created_at: p.createdAt,
    updated_at: p.updatedAt,
    deleted_at: p.deletedAt,
    mac: p.mac,
    uses: p.uses,
    last_used_at: p.lastUsedAt,
  }),
);

// The data key must be active in the very statement that uses it, so that a rotation cannot slip in between.
const INSERT_VERSION = statement((q, p: SecretVersionRow) =>
  q
    .insertInto("secret_versions")
    .columns(["secret_id", "version", "data_key_id", "sealed", "size", "created_at"])
    .expression((eb) =>
      eb
        .selectFrom("data_keys")
        .where("id", "=", p.dataKeyId)
        .where("state", "=", sql.lit("active" as const))
        .select([
          eb.val(p.secretId).as("secret_id"),
          eb.val(p.version).as("version"),
          "id",
          eb.val(p.sealed).as("sealed"),
          eb.val(p.size).as("size"),
          eb.val(p.createdAt).as("created_at"),
        ]),
    ),
);

type Guarded = SecretChange & { readonly ifVersion: number };

const changes = (p: SecretChange) => ({
  key_id: p.keyId,
  current_version: p.currentVersion,
  updated_at: p.updatedAt,
  mac: p.mac,
});

const MOVE_LIVE = statement((q, p: Guarded) =>
  q
    .updateTable("secrets")
    .set(changes(p))
    .where("id", "=", p.id)
    .where("current_version", "=", p.ifVersion)
    .where("deleted_at", "is", null),
);

const REVIVE = statement((q, p: Guarded) =>
  q
    .updateTable("secrets")
    .set({ ...changes(p), deleted_at: null })
    .where("id", "=", p.id)
    .where("current_version", "=", p.ifVersion)
    .where("deleted_at", "is not", null),
);

const PRUNE = statement((q, p: { secretId: string; keep: number }) =>
  q
    .deleteFrom("secret_versions")
    .where("secret_id", "=", p.secretId)
    .where("version", "<=", (eb) =>
      eb
        .selectFrom("secrets")
        .where("id", "=", p.secretId)
        .select((row) => row("current_version", "-", p.keep).as("last")),
    ),
);

const DELETE_VERSIONS = statement((q, p: { id: string }) =>
  q.deleteFrom("secret_versions").where("secret_id", "=", p.id),
);

const BURY = statement(
  (q, p: { id: string; deletedAt: number; mac: SecretRow["mac"]; ifVersion: number }) =>
    q
      .updateTable("secrets")
      .set({ deleted_at: p.deletedAt, updated_at: p.deletedAt, mac: p.mac })
      .where("id", "=", p.id)
      .where("current_version", "=", p.ifVersion)
      .where("deleted_at", "is", null),
);

const TOUCH = statement((q, p: { id: string; uses: number; lastUsedAt: number }) =>
  q
    .updateTable("secrets")
    .set((eb) => ({
      uses: eb("uses", "+", p.uses),
      last_used_at: eb
        .case()
        .when("last_used_at", ">", p.lastUsedAt)
        .then(eb.ref("last_used_at"))
        .else(p.lastUsedAt)
        .end(),
    }))
    .where("id", "=", p.id),
);

export const secretReads = (executor: ReadExecutor): SecretReads => ({
  ...sealedReads(executor),
  ...orphanReads(executor),
  ...walkReads(executor),
  find: (collection, name) => executor.first(FIND, { collection, name }),
  describe: (collection, name) => executor.first(DESCRIBE, { collection, name }),
  findVersion: (secretId, version) => executor.first(FIND_VERSION, { secretId, version }),
  listVersions: (secretId) => executor.all(LIST_VERSIONS, { secretId }),

  async list({ collection, after = "", limit = DEFAULT_PAGE }) {
    checkLimit(limit);
    return executor.all(LIST, { collection, after, limit });
  },
});

export const secretRows = (executor: Executor): SecretRows => ({
  ...secretReads(executor),
  ...sealedRows(executor),
  ...orphanRows(executor),
  ...walkRows(executor),

  async insertSecret(secret, version) {
    // Not one by one: a server gets them all in one go.
    await Promise.all([
      executor.run(INSERT, secret),
      insertVersion(executor, version),
      count(executor, { secrets: 1 }),
    ]);
  },

  async addVersion(change, version, ifVersion) {
    const guarded = { ...change, ifVersion };
    // Both at once, for a server.
    const moving = executor.run(MOVE_LIVE, guarded);
    const inserting = insertVersion(executor, version);
    const insertFailed = inserting.then(
      () => undefined,
      (error: CryptoError) => error,
    );
    if ((await moving) === 0) {
      const failed = await insertFailed;
      // Such a version is there already: then this one does not follow it.
      if (failed && failed.code !== "ERR_CONFLICT") throw failed;
      if (failed || (await executor.run(REVIVE, guarded)) === 0) {
        const stale = new CryptoError(
          "ERR_CONFLICT",
          `Version ${ifVersion} of the secret is no longer the current one`,
          { context: { hint: "Read it again and repeat the change." } },
        );
        executor.abandon(stale);
        throw stale;
      }
      await count(executor, { secrets: 1 });
    }
    await inserting;
  },

  pruneVersions: (secretId, keep) => executor.run(PRUNE, { secretId, keep }),

  async tombstone(grave, ifVersion) {
    const [buried] = await Promise.all([
      executor.run(BURY, { ...grave, ifVersion }),
      executor.run(DELETE_VERSIONS, { id: grave.id }),
      count(executor, { secrets: -1 }),
    ]);
    if (buried === 0) throw executor.abandon(changed("The secret"));
  },

  async touch(id, uses, lastUsedAt) {
    await executor.run(TOUCH, { id, uses, lastUsedAt });
  },
});

async function insertVersion(executor: Executor, version: SecretVersionRow): Promise<void> {
  if ((await executor.run(INSERT_VERSION, version)) === 0)
    throw executor.abandon(retired(version.dataKeyId));
}

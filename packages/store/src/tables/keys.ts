import type { Bytes } from "@lango/crypto-core";
import type { KeyRow, KeyVersionRow } from "../rows.ts";
import { change, type Executor, type ReadExecutor, statement } from "../statement.ts";
import type { KeyReads, KeyRows } from "../store.ts";
import { count } from "./counters.ts";

const KEY = [
  "id",
  "name",
  "type",
  "algorithm",
  "provider",
  "remote_key_id as remoteKeyId",
  "key_version as keyVersion",
  "public_key as publicKey",
  "state",
  "created_at as createdAt",
  "last_used_at as lastUsedAt",
  "mac",
] as const;

const VERSION = [
  "key_id as keyId",
  "version",
  "sealed",
  "public_key as publicKey",
  "state",
  "created_at as createdAt",
  "mac",
] as const;

const FIND = statement((q, p: { id: string }) =>
  q.selectFrom("keys").where("id", "=", p.id).select(KEY),
);

const FIND_BY_NAME = statement((q, p: { name: string }) =>
  q.selectFrom("keys").where("name", "=", p.name).select(KEY),
);

const LIST = statement((q) => q.selectFrom("keys").orderBy("name").select(KEY));

const FIND_VERSION = statement((q, p: { keyId: string; version: string }) =>
  q
    .selectFrom("key_versions")
    .where("key_id", "=", p.keyId)
    .where("version", "=", p.version)
    .select(VERSION),
);

const LIST_VERSIONS = statement((q, p: { keyId: string }) =>
  q
    .selectFrom("key_versions")
    .where("key_id", "=", p.keyId)
    .orderBy("created_at")
    .orderBy("version")
    .select(VERSION),
);

const changeable = (p: KeyRow) => ({
  name: p.name,
  type: p.type,
  algorithm: p.algorithm,
  provider: p.provider,
  remote_key_id: p.remoteKeyId,
  key_version: p.keyVersion,
  public_key: p.publicKey,
  state: p.state,
  mac: p.mac,
});

const INSERT = statement((q, p: KeyRow) =>
  q.insertInto("keys").values({
    id: p.id,
    created_at: p.createdAt,
    last_used_at: p.lastUsedAt,
    ...changeable(p),
  }),
);

const UPDATE = statement((q, p: KeyRow & { ifMac: Bytes }) =>
  q.updateTable("keys").set(changeable(p)).where("id", "=", p.id).where("mac", "=", p.ifMac),
);

const TOUCH = statement((q, p: { id: string; lastUsedAt: number }) =>
  q
    .updateTable("keys")
    .set({ last_used_at: p.lastUsedAt })
    .where("id", "=", p.id)
    .where((eb) => eb.or([eb("last_used_at", "is", null), eb("last_used_at", "<", p.lastUsedAt)])),
);

const changeableVersion = (p: KeyVersionRow) => ({
  sealed: p.sealed,
  public_key: p.publicKey,
  state: p.state,
  mac: p.mac,
});

const INSERT_VERSION = statement((q, p: KeyVersionRow) =>
  q.insertInto("key_versions").values({
    key_id: p.keyId,
    version: p.version,
    created_at: p.createdAt,
    ...changeableVersion(p),
  }),
);

const UPDATE_VERSION = statement((q, p: KeyVersionRow & { ifMac: Bytes }) =>
  q
    .updateTable("key_versions")
    .set(changeableVersion(p))
    .where("key_id", "=", p.keyId)
    .where("version", "=", p.version)
    .where("mac", "=", p.ifMac),
);

export const keyReads = (executor: ReadExecutor): KeyReads => ({
  find: (id) => executor.first(FIND, { id }),
  findByName: (name) => executor.first(FIND_BY_NAME, { name }),
  list: () => executor.all(LIST, {}),
  findVersion: (keyId, version) => executor.first(FIND_VERSION, { keyId, version }),
  listVersions: (keyId) => executor.all(LIST_VERSIONS, { keyId }),
});

export const keyRows = (executor: Executor): KeyRows => ({
  ...keyReads(executor),

  async insert(row) {
    await executor.run(INSERT, row);
    await count(executor, { keys: 1 });
  },

  update: (row, ifMac) => change(executor, UPDATE, { ...row, ifMac }, `Key ${row.name}`),

  async touch(id, lastUsedAt) {
    await executor.run(TOUCH, { id, lastUsedAt });
  },

  async insertVersion(row) {
    await executor.run(INSERT_VERSION, row);
  },

  updateVersion: (row, ifMac) =>
    change(executor, UPDATE_VERSION, { ...row, ifMac }, `Version ${row.version} of the key`),
});

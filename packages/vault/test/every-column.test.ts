import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ERROR_CODES, isCryptoError } from "@lango/crypto-core";
import { expect, test } from "vitest";
import type { Vault } from "../src/index.ts";
import { edit } from "./forge.ts";
import { bytes, makeVault, newHome, reopen } from "./helpers.ts";
import { onStage } from "./on-stage.ts";
import { Sqlite } from "./sqlite.ts";

// Every column of every table, as the database itself lists them, is altered by somebody who has no key. A new column that nothing
// watches over fails here until it has a reason to be in the list.

/** Columns that may be altered unseen, and why. */
const UNWATCHED: Readonly<Record<string, string>> = {
  "companion_results.created_at": "decides when a kept answer goes, which is sealed itself",
  "companion_results.peer_id": "an answer that is not found is asked for again",
  "companion_results.request_id": "an answer that is not found is asked for again",
  "counters.data_keys": "shown only",
  "counters.id": "without it nothing is counted, and nothing shown",
  "counters.keys": "shown only",
  "counters.secrets": "shown only",
  "data_keys.bytes": "counted in one statement, without a key",
  "data_keys.messages": "counted in one statement, without a key",
  "keys.last_used_at": "shown only",
  "migrations.applied_at": "shown only",
  "migrations.name": "the checksum beside it is compared",
  "secret_versions.created_at": "shown only",
  "secret_versions.size": "shown only",
  "secrets.last_used_at": "shown only",
  "secrets.uses": "shown only",
};

/** What the text says where it does not say `of table …`. */
const NAMED: Readonly<Record<string, string>> = {
  audit_head: "Row",
  "audit_head.epoch": "The vault key was changed",
  "audit_head.id": "The audit log has lost its head",
  audit_log: "Row",
  companion_results: "was changed outside lango",
  migrations: "was not made by this lango's migrations",
  // The values have their own.
  "secret_versions.data_key_id": "Decryption failed",
  "vault.vault_id": "is of vault",
  "vault.id": "The database has lost its vault row",
};

/** Tables without rows in a vault whose slots are a file. */
const EMPTY: readonly string[] = ["keyslots"];

interface Column {
  readonly table: string;
  readonly name: string;
  readonly type: string;
}

const PEER = "p".repeat(22);
const VALUES = ["a", "b"];
let original = "";
let home = "";

const fill = async (): Promise<void> => {
  const vault = await makeVault(home);
  for (const name of [...VALUES, "gone"]) await vault.secrets.set(name, bytes(`first of ${name}`));
  await vault.secrets.set("b", bytes("second of b"));
  await vault.secrets.delete("gone");
  await vault.secrets.get("a");
  await vault.keys.create({ name: "sign", type: "signing", algorithm: "ed25519" });
  await vault.keys.create({ name: "seal", type: "encryption", algorithm: "aes-256-gcm" });
  await vault.secrets.set("c", bytes("of another key"), { key: "seal" });
  await vault.companions.add({
    ...{ id: PEER, name: "phone", role: "companion", fingerprint: "A".repeat(43) },
  });
  await vault.companions.results.put(PEER, "r", new Uint8Array(32), bytes("signature"));
  const action = { session: "s", tool: "exec", arguments: { a: 1 } };
  await vault.approvals.grants.add({
    ...{ scope: "minutes", action, dangerous: false, by: "terminal", minutes: 60 },
  });
  await vault.approvals.policy.set({ ...(await vault.approvals.policy.get()) });
  await vault.fingerprints.note([{ name: "ADMIN_TOKEN", secret: bytes("a token of some length") }]);
  const stop = new AbortController();
  onStage("rotate:begun", () => stop.abort(new Error("stop")));
  await expect(vault.rotation.start({ signal: stop.signal })).rejects.toThrow("stop");
  await vault.close();
};

const read = <T>(query: string): T[] => {
  const database = new Sqlite(join(home, "lango.db"), { readonly: true });
  try {
    return database.prepare(query).all() as T[];
  } finally {
    database.close();
  }
};

const columns = (): Column[] =>
  read<Column>(
    `SELECT m.name AS "table", c.name AS name, c.type AS type FROM sqlite_master m JOIN pragma_table_info(m.name) c
     WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY 1, 2`,
  );

/** All that an opening or a look may not change; it adds rows to the log and counts uses. */
const content = (): string => {
  const tables = new Map<string, string[]>();
  for (const { table, name } of columns()) {
    const counts = ["secrets.uses", "secrets.last_used_at", "keys.last_used_at"];
    if (table === "audit_head" || table === "audit_log" || counts.includes(`${table}.${name}`)) {
      continue;
    }
    tables.set(table, [...(tables.get(table) ?? []), `quote(${name}) AS ${name}`]);
  }
  const rows = [...tables].map(([table, names]) => read(`SELECT ${names.join()} FROM ${table}`));
  const files = ["keyslots.json", "keyslots.bak.json"].map((file) =>
    readFileSync(join(home, file), "utf8"),
  );
  return JSON.stringify([rows, files]);
};

/** Another value of the same kind, in a row that has one where there is any. */
const alter = ({ table, name, type }: Column): void => {
  const key = read<{ name: string }>(
    `SELECT name FROM pragma_table_info('${table}') WHERE pk > 0`,
  ).map((column) => column.name);
  const end = (zero: string, one: string): string =>
    `substr(${name}, 1, length(${name}) - 1) || CASE WHEN substr(${name}, -1) = ${zero} THEN ${one} ELSE ${zero} END`;
  const other = `CASE typeof(${name})
    WHEN 'integer' THEN CASE WHEN ${name} IN (0, 1) THEN 1 - ${name} ELSE ${name} + 1000 END
    WHEN 'null' THEN CAST('1' AS ${type})
    WHEN 'blob' THEN CAST(${end("x'00'", "x'01'")} AS BLOB)
    ELSE ${end("'0'", "'1'")} END`;
  const row = `SELECT ${key.join()} FROM ${table} ORDER BY ${name} IS NULL, ${key.join()} LIMIT 1`;
  edit(home, `UPDATE ${table} SET ${name} = ${other} WHERE (${key.join()}) = (${row})`);
};

/** What fails when everything is read, and what the log says then. */
const look = async (vault: Vault): Promise<unknown[]> => {
  const errors: unknown[] = [];
  const attempt = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      errors.push(error);
    }
  };
  for (const name of [...VALUES, "c"]) await attempt(() => vault.secrets.get(name));
  await attempt(() => vault.secrets.get("b", { version: 1 }));
  await attempt(() => vault.secrets.list());
  await attempt(() => vault.keys.list());
  const provider = vault.keys.provider();
  await attempt(() => provider.sign!({ keyId: "sign", message: bytes("m") } as never));
  await attempt(() => vault.companions.list());
  await attempt(async () => {
    const found = await vault.companions.results.find(PEER, "r");
    if (found) expect(Buffer.from(found.hash)).toEqual(Buffer.alloc(32));
  });
  await attempt(() => vault.approvals.grants.list());
  await attempt(() => vault.approvals.policy.get());
  await attempt(() => vault.fingerprints.list());
  await attempt(() => vault.rotation.status());
  await attempt(() => vault.dataKeys.list());
  await attempt(() => vault.status());
  return errors;
};

/** What somebody notices: errors by their text, and faults of the log. */
const notice = async (): Promise<{ readonly errors: unknown[]; readonly faults: string[] }> => {
  let vault: Vault;
  try {
    vault = await reopen(home);
  } catch (error) {
    return { errors: [error], faults: [] };
  }
  try {
    const errors = await look(vault);
    const { faults } = await vault.audit.verify({ rows: true });
    return { errors, faults: faults.map(({ problem }) => problem) };
  } finally {
    await vault.close();
  }
};

test("whatever is altered in the database is named, with exit 8 or 4, and nothing else is changed", {
  timeout: 300_000,
}, async () => {
  home = newHome();
  await fill();
  original = home;
  const all = columns();
  const untouched = await notice();
  expect(untouched).toEqual({ errors: [], faults: [] });
  const unseen: string[] = [];
  const wrong: string[] = [];
  for (const column of all) {
    const { table } = column;
    const name = `${table}.${column.name}`;
    if (EMPTY.includes(table)) {
      expect(read(`SELECT * FROM ${table}`)).toEqual([]);
      continue;
    }
    home = newHome();
    mkdirSync(home, { mode: 0o700 });
    cpSync(original, home, { recursive: true });
    alter(column);
    const before = content();
    const { errors, faults } = await notice();
    if (content() !== before) wrong.push(`${name}: something else was changed`);
    if (errors.length + faults.length === 0) unseen.push(name);
    for (const error of errors) {
      const exit = isCryptoError(error) ? ERROR_CODES[error.code].exit : undefined;
      // A name that is gone looks like one that never was; the log knows better.
      const isTold = exit === 3 && faults.length > 0;
      if (exit !== 8 && exit !== 4 && !isTold) wrong.push(`${name}: ${String(error)}`);
    }
    const text = [...errors.map(String), ...faults].join("; ");
    const named = NAMED[name] ?? NAMED[table] ?? `of table ${table}`;
    if (!(name in UNWATCHED) && !text.includes(named)) wrong.push(`${name}: ${text}`);
  }
  expect(wrong).toEqual([]);
  expect(unseen).toEqual(Object.keys(UNWATCHED));
});

import { renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { CryptoError } from "@lango/crypto-core";
import { retryBusy } from "./busy.ts";
import type { Connection } from "./connection.ts";
import { copyDatabase } from "./copy.ts";
import type { Dialect } from "./dialect.ts";
import { syncFolder } from "./files.ts";
import type { Migration } from "./migrations.ts";
import { statement } from "./statement.ts";

const APPLIED = statement((q) =>
  q.selectFrom("migrations").orderBy("version").select(["version", "name", "checksum"]),
);

const RECORD = statement(
  (q, p: { version: number; name: string; checksum: string; appliedAt: number }) =>
    q.insertInto("migrations").values({
      version: p.version,
      name: p.name,
      checksum: p.checksum,
      applied_at: p.appliedAt,
    }),
);

export const latestVersion = (migrations: readonly Migration[]): number =>
  migrations.at(-1)?.version ?? 0;

/**
 * The schema version of a database.
 *
 * @throws {@link CryptoError} `ERR_CONFLICT` when it is newer than the last of `migrations`; `ERR_INTEGRITY` when it was
 *   made by other migrations.
 */
export function checkedVersion(
  connection: Connection,
  migrations: readonly Migration[],
  file: string,
): number {
  const version = Number(connection.rows("pragma user_version")[0]?.[0]);
  const known = latestVersion(migrations);
  if (version > known) {
    throw new CryptoError(
      "ERR_CONFLICT",
      `${file} has schema version ${version}; this lango knows up to ${known}`,
      { context: { hint: "Update lango: a newer one wrote this database." } },
    );
  }
  const applied = version === 0 ? [] : connection.all(APPLIED, {});
  for (let index = 0; index < Math.max(version, applied.length); index++) {
    const [ours, theirs] = [migrations[index], applied[index]];
    if (ours?.version === theirs?.version && ours?.checksum === theirs?.checksum) continue;
    throw new CryptoError(
      "ERR_INTEGRITY",
      `${file} was not made by this lango's migrations: ${index + 1} (${theirs?.name ?? "missing"}) differs`,
    );
  }
  return version;
}

/** Applies what is missing, each migration in one transaction. Returns when the schema is the latest. */
export async function migrate(
  connection: Connection,
  dialect: Dialect,
  migrations: readonly Migration[],
  options: { file: string; timeoutMs: number },
): Promise<void> {
  for (;;) {
    await retryBusy(options.timeoutMs, () => connection.database.exec("begin immediate"));
    try {
      // Read under the lock: another process may have been here.
      const next = migrations[checkedVersion(connection, migrations, options.file)];
      if (next === undefined) return;
      connection.database.exec(next.sql(dialect.types));
      const { version, name, checksum } = next;
      connection.run(RECORD, { version, name, checksum, appliedAt: Date.now() });
      connection.database.exec(`pragma user_version = ${version}; commit`);
    } finally {
      if (connection.database.inTransaction) connection.database.exec("rollback");
    }
  }
}

/**
 * Copies the database to `<file>.v<version>.bak`, consistent and complete, before a migration changes it. An older copy
 * of the same version is replaced once the new one is whole.
 */
export function backUp(connection: Connection, file: string, version: number): void {
  const backup = `${file}.v${version}.bak`;
  const unfinished = `${backup}.new`;
  rmSync(unfinished, { force: true });
  copyDatabase(connection, unfinished);
  renameSync(unfinished, backup);
  syncFolder(dirname(backup));
}

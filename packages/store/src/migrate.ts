import { renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { CryptoError } from "@lango/crypto-core";
import { retryBusy } from "./busy.ts";
import type { Connection } from "./connection.ts";
import { copyDatabase } from "./copy.ts";
import type { Dialect } from "./dialect.ts";
import { syncFolder } from "./files.ts";
import type { Migration } from "./migrations.ts";
import { type Statement, statement } from "./statement.ts";

/** What was applied, oldest first. */
export const APPLIED: Statement<object, Applied> = statement((q) =>
  q.selectFrom("migrations").orderBy("version").select(["version", "name", "checksum"]),
);

export const RECORD: Statement<Applied & { appliedAt: number }, unknown> = statement((q, p) =>
  q.insertInto("migrations").values({
    version: p.version,
    name: p.name,
    checksum: p.checksum,
    applied_at: p.appliedAt,
  }),
);

export const latestVersion = (migrations: readonly Migration[]): number =>
  migrations.at(-1)?.version ?? 0;

/** The schema version of a SQLite database, checked by {@link checkApplied}. */
export function checkedVersion(
  connection: Connection,
  migrations: readonly Migration[],
  file: string,
): number {
  const version = Number(connection.rows("pragma user_version")[0]?.[0]);
  checkApplied(version, () => connection.all(APPLIED, {}), migrations, file);
  return version;
}

/**
 * Checks that the schema of a database was made by our migrations.
 *
 * @param applied - Called unless the version is 0, at which there is no table to ask, or newer than ours.
 * @throws {@link CryptoError} `ERR_CONFLICT` when the version is newer than the last of `migrations`; `ERR_INTEGRITY`
 *   when the schema was made by other migrations.
 */
export function checkApplied(
  version: number,
  applied: () => readonly Applied[],
  migrations: readonly Migration[],
  location: string,
): void {
  const known = latestVersion(migrations);
  if (version > known) {
    throw new CryptoError(
      "ERR_CONFLICT",
      `${location} has schema version ${version}; this lango knows up to ${known}`,
      { context: { hint: "Update lango: a newer one wrote this database." } },
    );
  }
  const found = version === 0 ? [] : applied();
  for (let index = 0; index < Math.max(version, found.length); index++) {
    const [ours, theirs] = [migrations[index], found[index]];
    if (ours?.version === theirs?.version && ours?.checksum === theirs?.checksum) continue;
    throw new CryptoError(
      "ERR_INTEGRITY",
      `${location} was not made by this lango's migrations: ${index + 1} (${theirs?.name ?? "missing"}) differs`,
    );
  }
}

export type Applied = Pick<Migration, "version" | "name" | "checksum">;

/** A newer lango may have migrated the database under us; our rows would not fit its rules. */
export function checkUnchanged(found: number, version: number, location: string): void {
  if (found === version) return;
  throw new CryptoError(
    "ERR_CONFLICT",
    `${location} now has schema version ${found}, not ${version}: another lango changed it`,
    { context: { hint: "Restart this lango; update it if it is the older one." } },
  );
}

/** The error of a reader, which does not migrate. */
export const tooOld = (location: string): CryptoError =>
  new CryptoError(
    "ERR_CONFLICT",
    `${location} was written by an older lango and has yet to be migrated`,
    {
      context: { hint: "Run a command that opens the vault once." },
    },
  );

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

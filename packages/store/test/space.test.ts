import { readdirSync, readFileSync, statfsSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { sqliteDialect } from "../src/dialect.ts";
import { loadSqlite } from "../src/driver.ts";
import { recrypt } from "../src/recrypt.ts";
import { fails, tempHome } from "./helpers.ts";

// A file with a hole is as long as it says and takes no space: half of what is free is too much for two copies.
test("a database whose copies do not fit on the disk is not copied, and nothing is changed", async () => {
  const file = join(tempHome(), "lango.db");
  writeFileSync(file, "a database");
  writeFileSync(`${file}-wal`, "");
  const { bavail, bsize } = statfsSync(dirname(file));
  const size = Math.floor((bavail * bsize) / 2) + 2 ** 30;
  truncateSync(`${file}-wal`, size);
  const sqlite = await loadSqlite();
  const place = { file, sqlite, dialect: sqliteDialect(), timeoutMs: 100, cipher: undefined };
  const stages: string[] = [];
  const job = { place, cipher: undefined, onStage: (stage: string) => stages.push(stage) };
  const error = await fails("ERR_BUSY", recrypt(job as never));
  expect(error.message).toMatch(/ has \d+ MiB free, a copy of the database needs \d+ MiB/);
  expect(error.retryable).toBe(false);
  expect(stages).toEqual([]);
  expect(readdirSync(dirname(file))).toEqual(["lango.db", "lango.db-wal"]);
  expect(readFileSync(file, "utf8")).toBe("a database");
});

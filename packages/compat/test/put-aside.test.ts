import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { SqliteConstructor } from "@lango/store";
import { describe, expect, test } from "vitest";
import { holdOriginal } from "../../../tooling/services/original.ts";
import { asideOf, isAside, putAside, putBack } from "../src/index.ts";
import {
  bytes,
  folder,
  make,
  makers,
  open,
  PASSPHRASE,
  SECRETS,
  snapshot,
  values,
  valuesOf,
} from "./helpers.ts";

const Sqlite = createRequire(import.meta.url)(
  "better-sqlite3-multiple-ciphers",
) as SqliteConstructor;

const SHAPES = [
  [undefined, 0],
  [undefined, 2],
  ["passphrase", 0],
  ["passphrase", 2],
] as const;

describe("putting the database aside", () => {
  test.each(SHAPES)("encrypted with %s, %d secrets in its log", async (encrypted, inLog) => {
    const { file } = make({ inLog, ...(encrypted ? { encrypted } : {}) });
    chmodSync(file, 0o644);
    const [database, log] = [file, `${file}-wal`].map(
      (path) => existsSync(path) && readFileSync(path),
    );
    const original = await open(file);
    expect(isAside(file)).toBe(false);
    putAside(file, original);
    expect(isAside(file)).toBe(true);
    const aside = asideOf(file);
    expect(readdirSync(dirname(file)).sort()).toEqual(
      ["lango.db.original", ...(inLog > 0 ? ["lango.db.original-wal"] : [])].sort(),
    );
    expect(readFileSync(aside)).toEqual(database);
    if (inLog > 0) expect(readFileSync(`${aside}-wal`)).toEqual(log);
    expect(statSync(aside).mode & 0o777).toBe(0o600);
    expect(values(await open(aside))).toEqual(valuesOf(SECRETS));
    // Again: there is nothing left to do.
    putAside(file, original);
    expect(values(await open(aside))).toEqual(valuesOf(SECRETS));
  });

  test.each([undefined, "passphrase"] as const)(
    "is refused while another process has it open, encrypted with %s",
    async (encrypted) => {
      const { file } = make({ ...(encrypted ? { encrypted } : {}) });
      const original = await open(file);
      const holder = await holdOriginal(makers(), {
        file,
        ...(encrypted ? { key: PASSPHRASE } : {}),
      });
      expect(() => putAside(file, original)).toThrow(
        expect.objectContaining({
          code: "ERR_BUSY",
          message: `${file} is open in another program`,
        }),
      );
      expect(existsSync(asideOf(file))).toBe(false);
      holder.stdin?.end();
      await once(holder, "close");
      putAside(file, original);
      expect(values(await open(asideOf(file)))).toEqual(valuesOf(SECRETS));
    },
  );

  test("a name that something else has is not taken, and a log of somebody else stays", async () => {
    const { file } = make();
    const original = await open(file);
    writeFileSync(asideOf(file), "something else");
    expect(() => putAside(file, original)).toThrow("are both there");
    expect(readFileSync(asideOf(file), "utf8")).toBe("something else");
    rmSync(asideOf(file));
    linkSync(file, asideOf(file));
    rmSync(file);
    writeFileSync(`${file}-wal`, "a log");
    expect(() => putAside(file, original)).toThrow("is there without its database");
    expect(readFileSync(`${file}-wal`, "utf8")).toBe("a log");
  });

  test.each(["lango.db", "lango.db-wal"])(
    "a link is refused, and what it leads to stays: %s",
    async (name) => {
      const { file } = make({ inLog: 2 });
      const link = join(folder(), "lango.db");
      if (name === "lango.db") symlinkSync(file, link);
      else {
        renameSync(file, link);
        symlinkSync(`${file}-wal`, `${link}-wal`);
      }
      const before = snapshot(dirname(file));
      const original = await open(link);
      expect(() => putAside(link, original)).toThrow(`${name} is a symbolic link`);
      expect(snapshot(dirname(file))).toEqual(before);
      expect(readdirSync(dirname(link))).not.toContain("lango.db.original");
    },
  );

  test.each([undefined, "passphrase"] as const)(
    "killed while its log was moved into it, encrypted with %s",
    async (encrypted) => {
      const secrets = Array.from({ length: 30 }, (_, at) => ({
        ...{ name: `name/${at}`, value: bytes("v".repeat(3000)) },
      }));
      const { file } = make({ secrets, inLog: 29, ...(encrypted ? { encrypted } : {}) });
      // The first page goes first, and says how long the file will be.
      const log = readFileSync(`${file}-wal`);
      const at = Array.from(
        { length: Math.floor((log.length - 32) / 4120) },
        (_, n) => 32 + n * 4120,
      )
        .filter((frame) => log.readUInt32BE(frame) === 1)
        .at(-1)!;
      const whole = readFileSync(file);
      log.copy(whole, 0, at + 24, at + 24 + 4096);
      writeFileSync(file, whole);
      putAside(file, await open(file));
      expect(values(await open(asideOf(file)))).toEqual(valuesOf(secrets));
    },
  );

  test("is undone where nothing has the first name, with its log, and from where it was killed", async () => {
    const { file } = make({ inLog: 2 });
    const before = Object.keys(snapshot(dirname(file))).filter((name) => !name.endsWith("-shm"));
    const original = await open(file);
    for (const killed of [false, true]) {
      putAside(file, original);
      if (killed) linkSync(`${asideOf(file)}-wal`, `${file}-wal`);
      expect(putBack(file)).toBe(true);
      expect(readdirSync(dirname(file)).sort()).toEqual(before);
      expect(values(await open(file))).toEqual(valuesOf(SECRETS));
    }
    expect(putBack(file)).toBe(false);
    putAside(file, original);
    writeFileSync(file, "somebody else's");
    expect(putBack(file)).toBe(false);
    expect(readFileSync(file, "utf8")).toBe("somebody else's");
    expect(values(await open(asideOf(file)))).toEqual(valuesOf(SECRETS));
  });

  test("begun before, and used by the original since: begins again", async () => {
    const { file } = make({ inLog: 2 });
    linkSync(file, asideOf(file));
    linkSync(`${file}-wal`, `${asideOf(file)}-wal`);
    expect(isAside(file)).toBe(false);
    // It moves its log into the database, and ends.
    const holder = await holdOriginal(makers(), { file });
    holder.stdin?.end();
    await once(holder, "close");
    expect(existsSync(`${file}-wal`)).toBe(false);
    const database = new Sqlite(file, {});
    database.exec("update secrets set access_count = 99");
    database.close();
    const content = readFileSync(file);
    putAside(file, await open(file));
    expect(readFileSync(asideOf(file)).equals(content)).toBe(true);
    expect(existsSync(`${asideOf(file)}-wal`)).toBe(false);
    expect(values(await open(asideOf(file)))).toEqual(valuesOf(SECRETS));
  });
});

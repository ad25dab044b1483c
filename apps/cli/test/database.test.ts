import { chmodSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { SqliteConstructor } from "@lango/store";
import { describe, expect, test } from "vitest";
import { fileWith, folder, lango, langoJson, PASSPHRASE, SECRET, vaultHome } from "./support.ts";

const store = createRequire(new URL("../../../packages/store/package.json", import.meta.url));
const Sqlite = store("better-sqlite3-multiple-ciphers") as SqliteConstructor;

const LOCKED = { LANGO_PASSPHRASE: undefined };
const ENABLED = "security.dbEncryption.enabled";

const filesWith = (home: string, text: string): string[] =>
  readdirSync(home).filter((name) => !name.endsWith("/") && holds(join(home, name), text));

const holds = (path: string, text: string): boolean => {
  try {
    return readFileSync(path).includes(text);
  } catch {
    return false;
  }
};

const setting = async (home: string): Promise<boolean> =>
  (await langoJson(["settings", "get", ENABLED], { home })).document.data.value;

const reveal = (home: string) =>
  lango(["security", "secrets", "get", "api/key", "--reveal"], { home });

describe("lango security db-migrate and db-decrypt", () => {
  test("encrypt and decrypt, and change the setting as their last step", async () => {
    const home = await vaultHome();
    expect(filesWith(home, "api/key")).not.toEqual([]);
    const refused = await lango(["security", "db-migrate"], { home });
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("--yes")]);
    const planned = await lango(["security", "db-migrate", "--dry-run"], { home });
    expect(planned.stdout).toBe(`would encrypt the database and set ${ENABLED} to true\n`);
    expect(await setting(home)).toBe(false);

    const done = await lango(["security", "db-migrate", "--yes", "--progress=json"], { home });
    expect(done.code, done.stderr).toBe(0);
    expect(done.stderr).toMatch(/^\{"progress":"encrypting","done":7,"total":7/m);
    expect(done.stdout).toContain(`${ENABLED} is true`);
    expect(await setting(home)).toBe(true);
    expect(filesWith(home, "api/key")).toEqual([]);
    expect(filesWith(home, "SQLite format 3")).toEqual([]);
    expect((await reveal(home)).stdout).toBe(SECRET);
    expect((await lango(["audit", "verify", "--rows"], { home })).code).toBe(0);
    const again = await lango(["security", "db-migrate", "--yes"], { home });
    expect(again.stdout).toBe("The database is encrypted already\n");

    const back = await langoJson(["security", "db-decrypt", "--yes"], { home });
    expect(back.document.data).toMatchObject({
      changed: true,
      database: { encrypted: false },
      [ENABLED]: false,
    });
    expect(back.stderr).toContain("in plaintext now");
    expect(await setting(home)).toBe(false);
    expect((await reveal(home)).stdout).toBe(SECRET);
  });

  test("go on where they were killed before the setting was changed", async () => {
    const home = await vaultHome();
    await lango(["security", "db-migrate", "--yes"], { home });
    await lango(["settings", "set", ENABLED, "false"], { home });
    const wrong = await reveal(home);
    expect([wrong.code, wrong.stderr]).toEqual([78, expect.stringContaining("db-decrypt")]);
    const done = await lango(["security", "db-migrate", "--yes"], { home });
    expect(done.stdout).toBe(`The database is encrypted already; ${ENABLED} is true\n`);
    expect((await reveal(home)).stdout).toBe(SECRET);
  });

  test("the setting over a database in plaintext is refused, by its name", async () => {
    const home = await vaultHome();
    await lango(["settings", "set", ENABLED, "true"], { home });
    const { code, document } = await langoJson(
      ["security", "secrets", "get", "api/key", "--reveal"],
      { home },
    );
    expect(code).toBe(78);
    expect(document.error).toMatchObject({
      code: "ERR_CONFIG",
      hint: "Run: lango security db-migrate",
    });
    expect((await lango(["security", "db-migrate", "--yes"], { home })).code).toBe(0);
    expect((await reveal(home)).stdout).toBe(SECRET);
  });
});

describe("a vault whose database is encrypted", () => {
  const WEAK = ["--kdf", "pbkdf2-sha256:1000", "--accept-weak-kdf"];

  test("is born so; locked, it shows that it is locked, and exit status 0", async () => {
    const home = join(folder(), "home");
    await lango(["settings", "set", ENABLED, "true"], { home });
    await lango(["settings", "set", "security.dbEncryption.cipherPageSize", "16384"], { home });
    expect((await lango(["onboard", ...WEAK], { home })).code).toBe(0);
    await lango(["security", "secrets", "set", "api/key"], { home, input: SECRET });
    expect(filesWith(home, "SQLite format 3")).toEqual([]);
    expect(readFileSync(join(home, "lango.db")).length % 16_384).toBe(0);

    const status = await langoJson(["security", "status"], { home, env: LOCKED });
    expect([status.code, status.document.data]).toMatchObject([
      0,
      {
        locked: true,
        secretCount: null,
        keyCount: null,
        mode: null,
        createdAt: null,
        slotFile: null,
        rotation: null,
        renewing: false,
        degraded: null,
        degradedDataKeys: null,
        dataKeys: null,
        rootedIn: null,
        companion: { devices: null },
        provider: { name: "local", inForce: null },
        database: { encrypted: true, inForce: true },
      },
    ]);
    const who = await langoJson(["whoami"], { home, env: LOCKED });
    expect(who.document.data.provider).toMatchObject({ name: "local", inForce: null });
    const { checks } = (await langoJson(["doctor"], { home, env: LOCKED })).document.data;
    const unseen = ["provider", "companion", "generation", "database", "audit", "rows"];
    expect(
      checks
        .filter(({ ok }: { ok: unknown }) => ok === null)
        .map(({ check }: { check: string }) => check),
    ).toEqual(unseen);
    const examined = await lango(["doctor"], { home, env: LOCKED });
    expect(examined.stdout).toMatch(/^- +rows +not checked/m);
    const shown = await lango(["security", "status"], { home, env: LOCKED });
    expect(shown.stdout).toMatch(/^database +encrypted$/m);
    for (const fact of ["secrets", "keys", "data keys", "companion", "degraded", "rotation"]) {
      expect(shown.stdout).toMatch(new RegExp(`^${fact} +locked$`, "m"));
    }
    const exported = await lango(["audit", "export"], { home, env: LOCKED });
    expect([exported.code, exported.stderr]).toEqual([4, expect.stringContaining("Use --macs")]);
    const locked = await langoJson(["security", "secrets", "list"], { home, env: LOCKED });
    expect([locked.code, locked.document.data]).toEqual([0, { secrets: null, locked: true }]);
    const listed = await langoJson(["security", "secrets", "list"], { home });
    expect(listed.document.data.secrets).toMatchObject([{ name: "api/key" }]);
    expect((await lango(["whoami"], { home, env: LOCKED })).code).toBe(0);
    expect((await lango(["security", "slots", "list"], { home, env: LOCKED })).code).toBe(0);
    for (const command of [
      ["keys", "list"],
      ["audit", "tail"],
      ["security", "secrets", "get", "api/key"],
    ]) {
      expect((await lango(command, { home, env: LOCKED })).code).toBe(4);
      expect((await lango(command, { home })).code).toBe(0);
    }
    const wrong = await lango(["security", "secrets", "list"], {
      home,
      env: { LANGO_PASSPHRASE: "not the passphrase" },
    });
    expect(wrong.code).toBe(4);
    const doctor = await lango(["doctor"], { home });
    expect(doctor.stdout).toMatch(/^ok +encryption +the database is encrypted$/m);
    expect(doctor.stdout).not.toMatch(/^fault +(?!keyslots)/m);
    const { stdout } = await lango(["security", "secrets", "delete", "api/key", "--yes"], { home });
    expect(stdout).toBe("deleted api/key\n");
  });
});

describe("db-migrate --from-passphrase", () => {
  const OLD = `it's "quoted"; and long`;

  /** As the original does: `PRAGMA key = '…'`, with the defaults of SQLCipher 4. */
  const encryptWithPassphrase = (path: string, passphrase: string): void => {
    const database = new Sqlite(path, {});
    database.exec("pragma journal_mode = delete; pragma cipher = 'sqlcipher'; pragma legacy = 4");
    database.exec(`pragma rekey = '${passphrase.replaceAll("'", "''")}'`);
    database.close();
  };

  const migrate = (home: string, passphrase: string) =>
    lango(
      [
        "security",
        "db-migrate",
        "--from-passphrase",
        "--yes",
        "--database-passphrase-file",
        fileWith(passphrase),
      ],
      { home },
    );

  test("takes over a database of lango that a passphrase encrypts", async () => {
    const home = await vaultHome();
    encryptWithPassphrase(join(home, "lango.db"), OLD);
    expect((await reveal(home)).code).toBe(78);
    const wrong = await migrate(home, "another passphrase");
    expect([wrong.code, wrong.stderr]).toEqual([
      4,
      expect.stringContaining("does not open with this passphrase"),
    ]);
    const done = await migrate(home, OLD);
    expect(done.code, done.stderr).toBe(0);
    expect(await setting(home)).toBe(true);
    expect((await reveal(home)).stdout).toBe(SECRET);
    const old = new Sqlite(join(home, "lango.db"), {});
    old.exec("pragma cipher = 'sqlcipher'; pragma legacy = 4");
    old.key?.(Buffer.from(OLD));
    expect(() => old.prepare("select count(*) from sqlite_schema").get()).toThrow("not a database");
    old.close();
    expect((await migrate(home, OLD)).code).toBe(0);
  });

  test("leaves a database of another schema as it is, and says so", async () => {
    const home = await vaultHome();
    const path = join(home, "lango.db");
    rmSync(path);
    const original = new Sqlite(path, {});
    original.exec(
      "create table ent_types (id integer); create table secrets (id integer, name text)",
    );
    original.close();
    encryptWithPassphrase(path, PASSPHRASE);

    chmodSync(path, 0o600);
    const before = readFileSync(path);
    const { code, stderr } = await migrate(home, PASSPHRASE);
    expect([code, stderr]).toEqual([
      8,
      expect.stringContaining("is a database of another application"),
    ]);
    expect(readFileSync(path).equals(before)).toBe(true);
    for (const name of ["keyslots.json", "keyslots.bak.json"]) rmSync(join(home, name));
    expect((await migrate(home, PASSPHRASE)).stderr).toContain(
      "is a database of another application",
    );
  });
});

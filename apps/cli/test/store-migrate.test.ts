import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { describe, expect, test } from "vitest";
import { startSilentProxy } from "../../../packages/store/test/silent-proxy.ts";
import {
  newDatabaseUrl,
  POSTGRES_PASSWORD,
  sharedPostgres,
} from "../../../tooling/vitest/postgres.ts";
import { fileWith, folder, lango, langoJson, SECRET, vaultHome } from "./support.ts";

const QUICK = ["--kdf", "pbkdf2-sha256:1000", "--accept-weak-kdf"];

/** Runs SQL in the schema of a vault. */
async function inDatabase(url: string, ...statements: string[]): Promise<unknown[]> {
  const address = new URL(url);
  const client = new Client(partsOf(address));
  await client.connect();
  try {
    await client.query(`set search_path to ${address.searchParams.get("schema")}`);
    let rows: unknown[] = [];
    for (const statement of statements) rows = (await client.query(statement)).rows;
    return rows;
  } finally {
    await client.end();
  }
}

const partsOf = ({ hostname, port, username, pathname }: URL) => ({
  host: hostname,
  port: Number(port),
  user: username,
  password: POSTGRES_PASSWORD,
  database: pathname.slice(1),
});

/** No output shows the password, plain or as the URL has it. */
const expectNoPassword = ({ stdout, stderr }: { stdout: string; stderr: string }): void => {
  for (const form of [POSTGRES_PASSWORD, encodeURIComponent(POSTGRES_PASSWORD)]) {
    expect(stdout).not.toContain(form);
    expect(stderr).not.toContain(form);
  }
};

describe("a vault in PostgreSQL", () => {
  test("is shared by two homes; slots of one open on the other; older slots are found out", async () => {
    const env = { DATABASE_URL: await newDatabaseUrl() };
    const [one, two] = [join(folder(), "one"), join(folder(), "two")];
    const made = await lango(["onboard", ...QUICK], { home: one, env });
    expect(made.code, made.stderr).toBe(0);
    expect(readdirSync(one)).not.toContain("lango.db");
    expect(readdirSync(one)).not.toContain("keyslots.json");
    const again = await lango(["onboard", ...QUICK], { home: two, env });
    expect(again.code).toBe(9);

    const set = ["security", "secrets", "set", "api/key"];
    expect((await lango(set, { home: one, env, input: SECRET })).code).toBe(0);
    const got = await lango(["security", "secrets", "get", "api/key", "--reveal"], {
      home: two,
      env,
    });
    expect(got.stdout, got.stderr).toContain(SECRET);
    const listed = await langoJson(["security", "secrets", "list"], { home: two, env });
    expect(JSON.stringify(listed.document.data)).toContain("api/key");

    const before = await inDatabase(env.DATABASE_URL, "select document, generation from keyslots");
    const fd = fileWith("another passphrase");
    const added = await lango(
      [
        ...["security", "slots", "add", "--kind", "passphrase", "--new-passphrase-file", fd],
        ...QUICK,
      ],
      { home: one, env },
    );
    expect(added.code, added.stderr).toBe(0);
    const other = await lango(["security", "secrets", "get", "api/key", "--reveal"], {
      home: two,
      env: { ...env, LANGO_PASSPHRASE: "another passphrase" },
    });
    expect(other.stdout, other.stderr).toContain(SECRET);

    for (const args of [["security", "status"], ["settings", "list"], ["doctor"], ["whoami"]]) {
      const ran = await lango(args, { home: two, env });
      expectNoPassword(ran);
      // The doctor finds the slots of this test too weak, and nothing else.
      const faults = ran.stdout.split("\n").filter((line) => line.startsWith("fault"));
      expect(
        faults.every((line) => line.includes("easier to guess")),
        ran.stdout,
      ).toBe(true);
      expect([0, 10], ran.stdout + ran.stderr).toContain(ran.code);
    }

    // The document of before, as whoever brings back a row from a backup would.
    const { document } = before[0] as { document: Buffer };
    const hex = document.toString("hex");
    await inDatabase(
      env.DATABASE_URL,
      `update keyslots set generation = 1, document = '\\x${hex}'`,
    );
    const older = await langoJson(["security", "secrets", "get", "api/key", "--reveal"], {
      home: two,
      env,
    });
    expect(older.code).toBe(8);
    expect(older.document.error?.code).toBe("ERR_KEYSLOTS_ROLLED_BACK");
  });

  test("from earlier is found out by each machine that has seen a later one, and can be accepted", async () => {
    const env = { DATABASE_URL: await newDatabaseUrl() };
    const [one, two] = [join(folder(), "one"), join(folder(), "two")];
    await lango(["onboard", ...QUICK], { home: one, env });
    await lango(["security", "secrets", "set", "a"], { home: one, env, input: "1" });
    const tables = ["vault", "keyslots", "audit_log", "audit_head"];
    const dump = tables.map((table) => `create table old_${table} as select * from ${table}`);
    await inDatabase(env.DATABASE_URL, ...dump);
    const file = fileWith("another passphrase");
    const changed = await lango(
      ["security", "migrate-passphrase", "--new-passphrase-file", file, ...QUICK],
      { home: one, env },
    );
    expect(changed.code, changed.stderr).toBe(0);
    const passphrase = { LANGO_PASSPHRASE: "another passphrase" };
    const seen = await lango(["security", "secrets", "get", "a", "--reveal"], {
      home: two,
      env: { ...env, ...passphrase },
    });
    expect(seen.code, seen.stderr).toBe(0);
    await inDatabase(
      env.DATABASE_URL,
      ...tables.flatMap((table) => [
        `delete from ${table}`,
        `insert into ${table} select * from old_${table}`,
      ]),
      ...tables.map((table) => `drop table old_${table}`),
    );
    for (const home of [one, two]) {
      const older = await langoJson(["security", "secrets", "get", "a", "--reveal"], { home, env });
      expect(older.document.error?.code, older.stdout).toBe("ERR_STORE_ROLLED_BACK");
      expect(older.code).toBe(8);
    }
    const fresh = await lango(["security", "secrets", "get", "a", "--reveal"], {
      home: folder(),
      env,
    });
    expect(fresh.code).toBe(0);
    const accepted = await lango(["doctor", "--fix", "--accept-rollback", "--yes"], {
      home: one,
      env,
    });
    expect(accepted.stdout + accepted.stderr).toContain("accepted the older database");
    for (const home of [one, two]) {
      const ran = await lango(["security", "secrets", "get", "a", "--reveal"], { home, env });
      expect(ran.stdout, ran.stderr).toContain("1");
    }
  });

  test("is named by variables that must not differ, and no message has the password", async () => {
    const url = await newDatabaseUrl();
    const home = join(folder(), "home");
    const status = ["security", "status"];
    const other = url.replace("postgres?", "template1?");
    const both = { DATABASE_URL: url, DATABASE_URL_FILE: fileWith(other) };
    const differ = await lango(status, { home, env: both });
    expect(differ.code).toBe(78);
    expect(differ.stderr).toContain("DATABASE_URL and DATABASE_URL_FILE");
    expectNoPassword(differ);
    const same = await lango(["onboard", ...QUICK], {
      home,
      env: { DATABASE_URL: url, DATABASE_URL_FILE: fileWith(`${url}\n`) },
    });
    expect(same.code, same.stderr).toBe(0);
    const mine = await lango(status, { home, env: { DATABASE_URL: "mysql://u:hunter2@h/db" } });
    expect(mine.code).toBe(78);
    expect(mine.stderr).not.toContain("hunter2");
    const set = ["settings", "set", "store"];
    const plain = new URL(other);
    plain.password = "";
    const value = JSON.stringify({ driver: "postgres", url: plain.href });
    expect((await lango([...set, value], { home })).code).toBe(0);
    const setting = await lango(status, { home, env: { DATABASE_URL: url } });
    expect(setting.code).toBe(78);
    expect(setting.stderr).toContain("DATABASE_URL and the setting store.url");
    expectNoPassword(setting);
    const nowhere = JSON.stringify({ driver: "postgres" });
    expect((await lango([...set, nowhere], { home })).code).toBe(0);
    expect((await lango(status, { home })).code).toBe(78);
    expect((await lango(status, { home, env: { DATABASE_URL: url } })).code).toBe(0);
    const child = await lango(["run", "--", "/usr/bin/env"], { home, env: { DATABASE_URL: url } });
    expect(child.code, child.stderr).toBe(0);
    expect(child.stdout).not.toContain("DATABASE_URL");
    // PGPASSWORD is the command's own, unless it opens the database of the vault.
    const AWS_SESSION_TOKEN = "of the command";
    const PGPASSWORD = POSTGRES_PASSWORD;
    const without = Object.assign(new URL(url), { password: "" }).href;
    for (const [DATABASE_URL, isInherited] of [
      [without, false],
      [url, true],
    ] as const) {
      const env = { DATABASE_URL, PGPASSWORD, AWS_SESSION_TOKEN };
      const ran = await lango(["run", "--", "/usr/bin/env"], { home, env });
      expect(ran.code, ran.stderr).toBe(0);
      expect(ran.stdout.includes("PGPASSWORD=")).toBe(isInherited);
      expect(ran.stdout).toContain(`AWS_SESSION_TOKEN=${AWS_SESSION_TOKEN}`);
    }
    const wrong = url.replace(encodeURIComponent(POSTGRES_PASSWORD), "wrong-password");
    const denied = await lango(status, { home, env: { DATABASE_URL: wrong } });
    expect(denied.code).not.toBe(0);
    expect(denied.stderr).not.toContain("wrong-password");
  });
});

describe("a server that goes silent", () => {
  test("keeps a command no longer than a connection or an answer may take, and is used again", async () => {
    const { port } = await sharedPostgres();
    const get = ["security", "secrets", "get", "a", "--reveal"];
    const runs = [
      // Nothing is answered, not even the first word; the rows; the row of the log that comes before the value; a new value.
      { at: "user", limit: 10, args: ["security", "secrets", "list"] },
      { at: "secret_versions", limit: 30, args: get },
      { at: 'into "audit_log"', limit: 30, args: get },
      { at: 'into "secret_versions"', limit: 30, args: ["security", "secrets", "set", "a"] },
    ];
    const through = async ({ at, limit, args }: (typeof runs)[number]) => {
      const url = new URL(await newDatabaseUrl());
      const home = join(folder(), "home");
      const direct = { DATABASE_URL: url.href };
      expect((await lango(["onboard", ...QUICK], { home, env: direct })).code).toBe(0);
      await lango(["security", "secrets", "set", "a"], { home, env: direct, input: SECRET });
      const proxy = await startSilentProxy(port);
      proxy.silenceAt(at);
      url.port = `${proxy.port}`;
      const env = { DATABASE_URL: url.href };
      const started = performance.now();
      const ran = await langoJson(args, { home, env, input: "2" });
      const took = (performance.now() - started) / 1000;
      expect(ran.document.error?.code, ran.stdout + ran.stderr).toBe("ERR_UNAVAILABLE");
      expect(ran.code).toBe(7);
      expect(ran.stdout).not.toContain(SECRET);
      expect(took, at).toBeGreaterThan(limit - 1);
      // A limit, one more to note the failure, 2 s to give up a connection, and what a program takes to start here.
      expect(took, at).toBeLessThan(2 * limit + 25);
      proxy.heal();
      // What was open on the server ends after a minute there; not to wait for it:
      const schema = url.searchParams.get("schema");
      await inDatabase(
        direct.DATABASE_URL,
        `select pg_terminate_backend(pid) from pg_locks join pg_class c on c.oid = relation
           join pg_namespace n on n.oid = relnamespace where nspname = '${schema}' and pid <> pg_backend_pid()`,
      );
      const again = await langoJson(get, { home, env });
      expect(JSON.stringify(again.document.data), again.stdout).toContain('"version":1');
      const sound = await lango(["audit", "verify", "--rows"], { home, env });
      expect(sound.code, sound.stdout).toBe(0);
    };
    await Promise.all(runs.map(through));
  }, 240_000);
});

describe("lango backup", () => {
  test("of a vault in PostgreSQL becomes one in the file of a home, and goes back from there", async () => {
    const env = { DATABASE_URL: await newDatabaseUrl() };
    const [home, other] = [join(folder(), "one"), join(folder(), "two")];
    expect((await lango(["onboard", ...QUICK], { home, env })).code).toBe(0);
    await lango(["security", "secrets", "set", "api/key"], { home, env, input: SECRET });
    const shown = new URL(env.DATABASE_URL);
    shown.password = "";
    const setting = JSON.stringify({ driver: "postgres", url: shown.href });
    expect((await lango(["settings", "set", "store", setting], { home, env })).code).toBe(0);
    const secret = ["--backup-passphrase-file", fileWith("seven dry herrings at noon")];
    const file = join(folder(), "vault.tar.age");
    const made = await langoJson(["backup", "create", "--to", file, ...secret], { home, env });
    expect(made.code, made.stdout + made.stderr).toBe(0);
    expect(made.document.data.from).toBe(shown.href);
    const verified = await lango(["backup", "verify", file, ...secret], { home, env });
    expect(verified.stdout).toContain(shown.href);
    const restored = await lango(["backup", "restore", file, ...secret], { home: other });
    expect(restored.code, restored.stderr).toBe(0);
    expect(restored.stderr).toContain("lango store migrate --to postgres://");
    // What V8 says of an option that it does not know any more.
    expect(made.stderr + restored.stderr).not.toContain("unrecognized");
    for (const ran of [made, verified, restored]) expectNoPassword(ran);
    const config = JSON.parse(readFileSync(join(other, "config.json"), "utf8"));
    expect(config.store).toEqual({ driver: "sqlite" });
    const get = ["security", "secrets", "get", "api/key", "--reveal"];
    expect((await lango(get, { home: other })).stdout).toContain(SECRET);
    const to = await newDatabaseUrl();
    const back = await lango(["store", "migrate", "--yes", "--to", to], { home: other });
    expect(back.code, back.stderr).toBe(0);
    expect((await lango(get, { home: other, env: { DATABASE_URL: to } })).stdout).toContain(SECRET);
  });
});

describe("lango store migrate", () => {
  test("moves a vault there and back; the settings follow, and the log tells", async () => {
    const home = await vaultHome();
    const url = await newDatabaseUrl();
    const env = { DATABASE_URL: url };
    for (let version = 0; version < 3; version += 1) {
      await lango(["security", "secrets", "set", "many"], { home, input: `v${version}` });
    }
    for (const algorithm of ["ed25519", "hmac-sha256"]) {
      const args = ["keys", "create", algorithm, "--type", "signing", "--algorithm", algorithm];
      expect((await lango(args, { home })).code).toBe(0);
    }
    const shown = new URL(url);
    shown.password = "";
    const to = ["store", "migrate", "--to", shown.href];
    const dry = await langoJson([...to, "--dry-run"], { home, env });
    expect(dry.document.data).toMatchObject({
      ...{ dryRun: true, target: "nothing", secretCount: 2 },
      server: { role: "lango", tls: false },
    });
    expectNoPassword(dry);
    const planned = await lango([...to, "--dry-run"], { home, env });
    expect(planned.stdout).toMatch(/: \d+ rows, of them 2 secrets and 3 keys$/m);
    expect(planned.stdout).toContain("role lango has the rights for it");
    expect(planned.stdout).toContain("the new place is made by the move");
    const asked = await lango(to, { home, env });
    expect(asked.code).toBe(2);
    expect(readdirSync(home)).toContain("lango.db");
    const moved = await langoJson([...to, "--yes", "--progress=json"], { home, env });
    expect(moved.code, moved.stdout + moved.stderr).toBe(0);
    expect(moved.document.data.rows).toBeGreaterThan(20);
    expect(moved.stderr).toContain('"progress":"comparing rows"');
    expectNoPassword(moved);
    const config = readFileSync(join(home, "config.json"), "utf8");
    expect(JSON.parse(config).store).toEqual({ driver: "postgres", url: shown.href });
    expect(readdirSync(home)).not.toContain("lango.db");
    expect(readdirSync(home)).not.toContain("keyslots.json");
    const reads = async (variables: Record<string, string>) => {
      const got = await lango(["security", "secrets", "get", "api/key", "--reveal"], {
        home,
        env: variables,
      });
      expect(got.stdout, got.stderr).toContain(SECRET);
      const verified = await lango(["audit", "verify", "--rows"], { home, env: variables });
      expect(verified.code, verified.stdout + verified.stderr).toBe(0);
      const history = await langoJson(["security", "secrets", "history", "many"], {
        home,
        env: variables,
      });
      expect(JSON.stringify(history.document.data)).toContain('"version":3');
    };
    await reads(env);
    const tail = await langoJson(["audit", "tail"], { home, env });
    expect(JSON.stringify(tail.document.data)).toContain("store.migrate");
    expectNoPassword(tail);

    const wish = ["settings", "set", "security.dbEncryption.enabled"];
    expect((await lango([...wish, "true"], { home, env })).code).toBe(0);
    const back = await lango(["store", "migrate", "--to", "sqlite", "--yes"], { home, env });
    expect(back.code, back.stderr).toBe(0);
    expect(back.stderr).toContain("DATABASE_URL still names the old database");
    expect(JSON.parse(readFileSync(join(home, "config.json"), "utf8")).store).toEqual({
      driver: "sqlite",
    });
    expect(readFileSync(join(home, "lango.db")).subarray(0, 6).toString()).not.toBe("SQLite");
    await reads({});
    const locked = await lango([...to, "--dry-run"], { home });
    expect(locked.stdout).not.toContain("null");
    const stale = await lango(["security", "secrets", "list"], { home, env });
    expect(stale.code).toBe(9);
    expect(stale.stderr).toContain("was moved to");
    expect(stale.stderr).toContain("lango store migrate --to sqlite;");
  });

  test("refuses what is no place, and a database of another vault", async () => {
    const home = await vaultHome();
    const env = { DATABASE_URL: await newDatabaseUrl() };
    const other = join(folder(), "other");
    expect((await lango(["onboard", ...QUICK], { home: other, env })).code).toBe(0);
    const migrate = (...args: string[]) => lango(["store", "migrate", "--yes", ...args], { home });
    expect((await migrate("--to", env.DATABASE_URL)).code).toBe(9);
    expect((await migrate("--to", env.DATABASE_URL, "--dry-run")).code).toBe(9);
    const dead = new URL(env.DATABASE_URL);
    dead.port = "1";
    expect((await migrate("--to", dead.href, "--dry-run")).code).toBe(7);
    expect((await migrate("--to", "sqlite")).code).toBe(9);
    const elsewhere = await migrate("--to", "sqlite:/elsewhere/x.db");
    expect(elsewhere.code).toBe(2);
    expect(elsewhere.stderr).toContain("beside the slots that open it");
    for (const place of ["mysql://u:hunter2@host/db", "postgre://u:hunter2@host/db", "elsewhere"]) {
      const ran = await migrate("--to", place);
      expect(ran.code, place).toBe(2);
      expect(ran.stderr).toContain("--to postgres://user@host:5432/database, or --to sqlite");
      expect(ran.stderr).not.toContain("hunter2");
    }
    for (const url of ["postgres://h/db?password=hunter2", "postgres://u:1/hunter2@h/db"]) {
      const ran = await migrate("--to", url, "--dry-run");
      expect(ran.code).toBe(78);
      expect(ran.stdout + ran.stderr).not.toContain("hunter2");
      const set = ["settings", "set", "store.url", url];
      expect((await lango(set, { home })).code).not.toBe(0);
    }
    expect((await migrate()).code).toBe(2);
    const got = await lango(["security", "secrets", "get", "api/key", "--reveal"], { home });
    expect(got.stdout).toContain(SECRET);
  });
});

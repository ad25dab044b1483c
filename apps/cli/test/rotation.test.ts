import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { SqliteConstructor } from "@lango/store";
import { describe, expect, test } from "vitest";
import {
  addSecrets,
  environment,
  expectOneFault,
  fileWith,
  LANGO,
  lango,
  langoJson,
  PASSPHRASE,
  SECRET,
  vaultHome,
} from "./support.ts";

const Sqlite = createRequire(import.meta.url)(
  "better-sqlite3-multiple-ciphers",
) as SqliteConstructor;

const inDatabase = (home: string, sql: string): unknown[] => {
  const database = new Sqlite(join(home, "lango.db"), { timeout: 5_000 });
  try {
    return database.prepare(sql).all();
  } finally {
    database.close();
  }
};

/** As what has gone wrong in a database whose keys nobody has checked. */
const loseSecret = (home: string, name: string): void => {
  const database = new Sqlite(join(home, "lango.db"), { timeout: 5_000 });
  database.exec(`PRAGMA foreign_keys = off; DELETE FROM secrets WHERE name = '${name}'`);
  database.close();
};

const reveal = async (home: string, name = "api/key"): Promise<string> =>
  (await lango(["security", "secrets", "get", name, "--reveal"], { home })).stdout;

const dataKeyStates = (home: string): unknown[] =>
  inDatabase(home, "SELECT state FROM data_keys ORDER BY state").map(
    (row) => (row as { state: string }).state,
  );

describe("lango security rotate", () => {
  test("wants a yes, seals every value again and destroys the old data key", async () => {
    const home = await vaultHome();
    const args = ["security", "rotate"];
    expectOneFault(await lango(args, { home }), 2, /This needs a yes/);
    const dry = await langoJson([...args, "--dry-run"], { home });
    expect(dry.document.data).toEqual({ dryRun: true, resume: false, values: 1 });
    expect(dataKeyStates(home)).toEqual(["active"]);

    const ran = await lango([...args, "--yes"], { home });
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stdout).toBe("sealed 1 value again and checked 1; 1 old data key destroyed\n");
    expect(ran.stderr).toContain("Copies of lango.db from before hold the old data keys");
    expect(dataKeyStates(home)).toEqual(["active", "retired"]);
    expect(await reveal(home)).toBe(SECRET);
    expect((await lango(["audit", "verify", "--rows"], { home })).code).toBe(0);

    const { document } = await langoJson([...args, "--yes"], { home });
    expect(document.data).toMatchObject({
      resealed: 1,
      verified: 1,
      retired: [expect.any(String)],
    });
    expectOneFault(await lango([...args, "--resume"], { home }), 3, /No rotation is under way/);
  });

  test("interrupted says how to go on, is shown by the status, and is gone on with", {
    timeout: 120_000,
  }, async () => {
    const home = await vaultHome();
    await addSecrets(home, 1_500);
    const child = spawn(
      process.execPath,
      [...LANGO, "security", "rotate", "--yes", "--progress=json"],
      { env: environment(home), stdio: ["ignore", "pipe", "pipe"] },
    );
    let stderr = "";
    child.stderr.on("data", (chunk) => {
      // The first line comes when the work begins.
      if (stderr === "") child.kill("SIGINT");
      stderr += chunk;
    });
    const [code] = await once(child, "close");
    expect(code, stderr).toBe(130);
    expect(stderr).toContain("go on with: lango security rotate --resume");
    expect(JSON.parse(stderr.split("\n")[0] ?? "")).toMatchObject({
      progress: "sealing again",
      total: 1_501,
    });
    expect(await reveal(home)).toBe(SECRET);
    expect(await reveal(home, "s/1499")).toBe("value 1499");
    expect(dataKeyStates(home)).toEqual(["active", "decrypt-only"]);

    const status = await lango(["security", "status"], {
      home,
      env: { LANGO_PASSPHRASE: undefined },
    });
    expect(status.stdout).toMatch(
      /rotation +begun \S+ and not ended: lango security rotate --resume/,
    );
    const again = await lango(["security", "rotate", "--yes"], { home });
    expectOneFault(again, 9, /A rotation was begun and has not ended/);
    const { document } = await langoJson(["security", "rotate", "--resume"], { home });
    expect(document.data).toMatchObject({ verified: 1_501 });
    expect(dataKeyStates(home)).toEqual(["active", "retired"]);
    expect(await reveal(home, "s/0")).toBe("value 0");
    expect((await lango(["security", "status"], { home })).stdout).not.toContain("rotation");
    expect((await lango(["audit", "verify", "--rows"], { home })).code).toBe(0);
  });

  test("names the value that does not open, exit 8, and loses nothing", async () => {
    const home = await vaultHome();
    inDatabase(home, "UPDATE secret_versions SET sealed = zeroblob(length(sealed)) RETURNING 1");
    const ran = await lango(["security", "rotate", "--yes"], { home });
    expectOneFault(ran, 8, /^lango: Version secrets\/api\/key@1 does not open$/);
    expect(ran.stderr).toContain("delete the secret; then: lango security rotate --resume");
    expect(dataKeyStates(home)).toEqual(["active", "decrypt-only"]);
    const retiring = await lango(["keys", "retire"], { home });
    expect(retiring.stderr).toContain("A rotation has not ended");
    const deleted = await lango(["security", "secrets", "delete", "api/key", "--yes"], { home });
    expect(deleted.code, deleted.stderr).toBe(0);
    expect((await lango(["security", "rotate", "--resume"], { home })).code).toBe(0);
    expect(dataKeyStates(home)).toEqual(["active", "retired"]);
  });
});

describe("lango keys retire", () => {
  test("destroys what nothing needs, and says what is needed and by how many values", async () => {
    const home = await vaultHome();
    const none = await langoJson(["keys", "retire"], { home });
    expect(none.document.data).toEqual({ orphans: [], retired: [], needed: [] });
    // A full data key makes way for another.
    inDatabase(home, "UPDATE data_keys SET messages = 1073741824 RETURNING 1");
    await lango(["security", "secrets", "set", "other"], { home, input: "x" });
    const kept = await lango(["keys", "retire"], { home });
    expect(kept.stdout).toMatch(/[0-9a-f]{24} +local:default +decrypt-only +\S+ +1\n/);
    expect(kept.stdout).toContain("destroyed 0 data keys; still needed: 1");

    await lango(["security", "secrets", "delete", "api/key", "--yes"], { home });
    const dry = await langoJson(["keys", "retire", "--dry-run"], { home });
    expect(dry.document.data).toMatchObject({
      dryRun: true,
      retired: [{ state: "decrypt-only", values: 0 }],
      needed: [],
    });
    expect(dataKeyStates(home)).toEqual(["active", "decrypt-only"]);
    expectOneFault(await lango(["keys", "retire"], { home }), 2, /This needs a yes/);
    const retired = await langoJson(["keys", "retire", "--yes"], { home });
    expect(retired.document.data.retired).toMatchObject([{ state: "retired", values: 0 }]);
    expect(dataKeyStates(home)).toEqual(["active", "retired"]);
    expect(await reveal(home, "other")).toBe("x");
  });
});

describe("versions whose secret has lost its row", () => {
  test("are named by what they stop, and removed after a yes with keys retire --orphans", async () => {
    const home = await vaultHome();
    await lango(["security", "secrets", "set", "api/key"], { home, input: "second" });
    await lango(["security", "secrets", "set", "other"], { home, input: "x" });
    loseSecret(home, "api/key");
    const stopped = await lango(["security", "rotate", "--yes"], { home });
    expectOneFault(stopped, 8, /lost their rows: secrets\/api\/key@1, secrets\/api\/key@2$/);
    expect(stopped.stderr).toContain("lango keys retire --orphans");

    const versions = (): number => inDatabase(home, "SELECT 1 FROM secret_versions").length;
    const names = ["secrets/api/key@1", "secrets/api/key@2"];
    const only = await langoJson(["keys", "retire"], { home });
    expect(only.document.data).toEqual({ orphans: names, retired: [], needed: [] });
    const orphans = ["keys", "retire", "--orphans"];
    const dry = await lango([...orphans, "--dry-run"], { home });
    expect(dry.stderr).toContain("secrets/api/key@2 has lost the row of its secret");
    expect(dry.stdout).toBe("would destroy 0 data keys and remove 2 versions without a secret\n");
    expectOneFault(await lango(orphans, { home }), 2, /This needs a yes/);
    expect(versions()).toBe(3);

    const removed = await lango([...orphans, "--yes"], { home });
    expect(removed.stdout, removed.stderr).toBe(
      "removed 2 versions without a secret; destroyed 0 data keys; still needed: 0\n",
    );
    expect(versions()).toBe(1);
    expect((await lango(["audit", "verify", "--rows"], { home })).code).toBe(0);
    expect((await lango(["security", "rotate", "--yes"], { home })).code).toBe(0);
    expect(await reveal(home, "other")).toBe("x");
    const none = await langoJson([...orphans, "--yes"], { home });
    expect(none.document.data).toEqual({ orphans: [], retired: [], needed: [] });
  });
});

describe("lango security rotate --compromised", () => {
  test("names what the log does not vouch for and changes nothing; --accept-faults takes it, and the log says so", async () => {
    const home = await vaultHome();
    await lango(["security", "secrets", "set", "api/key"], { home, input: "second" });
    inDatabase(home, "DELETE FROM secret_versions WHERE version = 1 RETURNING 1");
    const rotate = ["security", "rotate", "--compromised", "--yes"];
    const plain = await lango(["security", "rotate", "--accept-faults", "--yes"], { home });
    expectOneFault(plain, 2, /--accept-faults belongs to --compromised/);
    const refused = await lango(rotate, { home });
    expectOneFault(refused, 8, /The log does not vouch for all rows: Row secrets\/api\/key@1 of/);
    expect(refused.stderr).toContain("--accept-faults");
    expect(dataKeyStates(home)).toEqual(["active"]);
    const { document } = await langoJson(["security", "status"], { home });
    expect(document.data).toMatchObject({ renewing: false });

    const ran = await lango([...rotate, "--accept-faults"], { home });
    expect(ran.code, ran.stderr).toBe(0);
    expect(dataKeyStates(home)).toEqual(["active", "retired"]);
    expect(await reveal(home)).toBe("second");
    const log = await lango(["audit", "tail", "--json", "-n", "100"], { home });
    expect(log.stdout, log.stderr).toContain("faults that were accepted: Row secrets/api/key@1 of");
  });
});

describe("lango security migrate-passphrase --rotate-data-keys", () => {
  const change = async (home: string, extra: readonly string[] = []) =>
    lango(
      [
        "security",
        "migrate-passphrase",
        "--old-passphrase-file",
        fileWith(PASSPHRASE),
        "--new-passphrase-file",
        fileWith("another passphrase"),
        "--kdf",
        "pbkdf2-sha256:1000",
        "--accept-weak-kdf",
        "--rotate-data-keys",
        ...extra,
      ],
      { home, env: { LANGO_PASSPHRASE: undefined } },
    );

  test("changes the passphrase, then the data keys", async () => {
    const home = await vaultHome();
    const ran = await change(home);
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stdout).toContain("The passphrase was changed; sealed 1 value again");
    expect(dataKeyStates(home)).toEqual(["active", "retired"]);
    const env = { LANGO_PASSPHRASE: "another passphrase" };
    const value = await lango(["security", "secrets", "get", "api/key", "--reveal"], { home, env });
    expect(value.stdout).toBe(SECRET);
  });

  test("changes nothing while a rotation has not ended", async () => {
    const home = await vaultHome();
    inDatabase(home, "UPDATE secret_versions SET sealed = zeroblob(length(sealed)) RETURNING 1");
    expect((await lango(["security", "rotate", "--yes"], { home })).code).toBe(8);
    expectOneFault(await change(home), 9, /A rotation was begun and has not ended/);
    expect((await lango(["security", "rotate", "--resume"], { home })).code).toBe(8);
  });
});

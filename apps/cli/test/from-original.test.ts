import { spawnSync } from "node:child_process";
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
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { holdOriginal } from "../../../tooling/services/original.ts";
import {
  ALONE,
  copyOf,
  expectBrought,
  flags,
  makers,
  migrate,
  migrateJson,
  OLD,
  originalHome,
  SECRETS,
  VALUES,
} from "./original-support.ts";
import {
  environment,
  expectOneFault,
  fileWith,
  LANGO,
  lango,
  langoJson,
  snapshot,
  vaultHome,
} from "./support.ts";

const NAMES = Object.keys(VALUES).sort();

describe("db-migrate --from-passphrase of a home of the original", () => {
  test.each([
    ["legacy", "passphrase"],
    ["legacy", undefined],
    ["envelope", "raw"],
  ] as const)("%s, encrypted with %s: makes a vault of it", async (mode, encrypted) => {
    const home = originalHome({ mode, inLog: 2, ...(encrypted ? { encrypted } : {}) });
    const [database, log] = ["lango.db", "lango.db-wal"].map((name) =>
      readFileSync(join(home, name)),
    );
    const { code, document, stderr } = await migrateJson(home, ["--progress=json"]);
    expect(code, stderr).toBe(0);
    expect(document.data).toMatchObject({
      ...{ already: [], mode, left: [] },
      profiles: ["default"],
      tables: { sessions: 1 },
      from: join(home, "lango.db.original"),
      renamed: { "wallet.privatekey": "wallet/privatekey", "with a space": "with_a_space" },
    });
    expect(document.data.brought.sort()).toEqual(NAMES);
    expect(stderr).toContain('{"progress":"bringing","done":5,"total":5');
    // The passphrase of the original is that of the vault, whose database is encrypted from its first byte.
    await expectBrought(home);
    expect(readFileSync(join(home, "lango.db.original"))).toEqual(database);
    expect(readFileSync(join(home, "lango.db.original-wal"))).toEqual(log);
    expect(statSync(join(home, "lango.db.original")).mode & 0o777).toBe(0o600);
    const status = await langoJson(["security", "status"], { home, env: ALONE });
    expect(status.document.data.database).toMatchObject({ encrypted: true, inForce: true });
    const log2 = await langoJson(["audit", "tail"], { home, env: { LANGO_PASSPHRASE: OLD } });
    const rows = (log2.document.data.events as { action: string; detail?: string }[]).filter(
      ({ action }) => action === "secret.import",
    );
    expect(rows).toMatchObject([{ detail: expect.stringContaining("5 brought, 0 were there") }]);
    const doctor = await lango(["doctor"], { home, env: { LANGO_PASSPHRASE: OLD } });
    expect(doctor.stdout).not.toMatch(/^fault/m);
  });

  test("says what it would do, asks, does it, and does nothing twice", async () => {
    const home = originalHome({ encrypted: "passphrase" });
    const before = snapshot(home);
    const onboard = await lango(["onboard"], { home });
    expect(onboard.stderr).toContain('"lango security db-migrate --from-passphrase"');
    // The original leaves its mode to the umask, and that is what is said first.
    chmodSync(join(home, "lango.db"), 0o600);
    const status = await lango(["security", "status"], { home });
    expect(status.stderr).toContain('"lango security db-migrate --from-passphrase"');
    const dry = await migrate(home, ["--dry-run"]);
    expect([dry.code, dry.stdout], dry.stderr).toEqual([
      0,
      `would make a vault in ${home} and bring 5 secrets\n"wallet.privatekey" is wallet/privatekey here\n"with a space" is with_a_space here\n`,
    ]);
    const unasked = await lango(
      flags().filter((flag) => flag !== "--yes"),
      { home, env: ALONE },
    );
    expectOneFault(unasked, 2, /needs a yes/);
    expect(snapshot(home)).toEqual(before);
    const done = await migrate(home);
    expect(done.code, done.stderr).toBe(0);
    expect(done.stdout).toMatch(
      /^Brought 5 secrets of .*lango\.db\.original, and read each of them back$/m,
    );
    expect(done.stderr).toContain(`delete ${home}/lango.db.original with its logs`);
    expect(done.stderr).toContain("Left, as no secrets: 1 of sessions");
    expect(done.stderr).toContain("Left: the settings default");
    const again = await migrateJson(home);
    expect(again.document.data).toMatchObject({ brought: [] });
    expect(again.document.data.already.sort()).toEqual(NAMES);
    await expectBrought(home);
  });

  test("takes another passphrase for the vault when one is given", async () => {
    const home = originalHome();
    const passphrase = "quite another one, for the vault";
    const env = { LANGO_PASSPHRASE: passphrase };
    expect((await lango(flags(), { home, env })).code).toBe(0);
    await expectBrought(home, passphrase);
  });

  test("names a conflict and overwrites nothing", async () => {
    const home = originalHome();
    expect((await migrate(home)).code).toBe(0);
    const env = { LANGO_PASSPHRASE: OLD };
    const set = ["security", "secrets", "set", "openai/api-key"];
    expect((await lango(set, { home, env, input: "a newer one" })).code).toBe(0);
    expectOneFault(await migrate(home), 9, /other values for openai\/api-key than/);
    const get = ["security", "secrets", "get", "openai/api-key", "--reveal"];
    expect((await lango(get, { home, env })).stdout).toBe("a newer one");
  });

  test("refuses, and changes nothing: open elsewhere, wrong passphrase, altered, truncated, foreign", async () => {
    const template = originalHome({ encrypted: "passphrase" });
    const busy = copyOf(template);
    const holder = await holdOriginal(makers(), { file: join(busy, "lango.db"), key: OLD });
    expectOneFault(await migrate(busy), 75, /is open in another program/);
    holder.stdin?.end();
    await once(holder, "close");
    expect(existsSync(join(busy, "lango.db.original"))).toBe(false);

    const wrong = copyOf(template);
    const before = snapshot(wrong);
    const refused = await lango(flags("another passphrase"), { home: wrong, env: ALONE });
    expectOneFault(refused, 4, /does not open with this passphrase/);
    expect(snapshot(wrong)).toEqual(before);

    truncateSync(join(wrong, "lango.db"), 8192);
    expectOneFault(await migrate(wrong), 8, /is damaged/);

    const altered = originalHome({
      alter: ({ secrets }) => {
        secrets[1]!.value = secrets[0]!.value.replace(/^./, (first) => (first === "A" ? "B" : "A"));
      },
    });
    const unaltered = snapshot(altered);
    expectOneFault(await migrate(altered), 8, /"telegram\/bot-token" of .* was altered/);
    expect(snapshot(altered)).toEqual(unaltered);

    const checksum = originalHome({
      alter: (document) => {
        document.checksum = document.salt;
      },
    });
    expectOneFault(await migrate(checksum), 8, /checksum .* was altered/);

    const none = join(checksum, "nothing");
    expectOneFault(await migrate(none), 3, /is not there/);
    expect(existsSync(none)).toBe(false);
  });

  test("leaves by name what it cannot bring, and says to keep the original", async () => {
    const remote = "arn:aws:kms:eu-west-1:1:key/2";
    const home = originalHome({
      secrets: [
        ...SECRETS,
        { name: "at-the-service", value: new Uint8Array(9), remote, sealedBy: "service" },
        { name: "x".repeat(300), value: new Uint8Array(9) },
        { name: "large\u001b[31m", value: new Uint8Array(1024 * 1024 + 1) },
      ],
    });
    const done = await migrate(home);
    expect(done.code, done.stderr).toBe(0);
    expect(done.stdout).toContain(
      `left: "at-the-service", sealed by the key kms-default (${remote})`,
    );
    expect(done.stdout).toContain("its name has 300 characters");
    expect(done.stdout).toMatch(/left: "large.*\[31m", it has 1048577 bytes/);
    expect(done.stdout).not.toContain("\u001b");
    expect(done.stderr).toContain("holds 3 secrets that are nowhere else: keep it");
    await expectBrought(home);
  });

  test("two names that would be one are refused by their names", async () => {
    const value = new Uint8Array(3);
    const home = originalHome({
      secrets: [
        { name: "a b", value },
        { name: "a_b", value },
      ],
    });
    const before = snapshot(home);
    expectOneFault(await migrate(home), 9, /"a b" and "a_b", and both would be a_b here/);
    expect(snapshot(home)).toEqual(before);
  });

  test("with --database brings another file into a vault that is there", async () => {
    const home = await vaultHome();
    const old = originalHome({ encrypted: "passphrase", mode: "legacy", inLog: 1 });
    const before = snapshot(old);
    const from = ["--database", join(old, "lango.db")];
    const done = await langoJson([...flags(), ...from], { home });
    expect(done.code, done.stderr).toBe(0);
    expect(done.document.data).toMatchObject({ from: from[1] });
    expect(snapshot(old)).toEqual(before);
    const { document } = await langoJson(["security", "secrets", "list"], { home });
    expect(document.data.secrets).toHaveLength(NAMES.length + 1);
    // Nothing else of the vault changes.
    const status = await langoJson(["security", "status"], { home });
    expect(status.document.data.database).toMatchObject({ encrypted: false, inForce: true });
    const absent = join(old, "absent");
    expectOneFault(await lango([...flags(), ...from], { home: absent }), 4, /There is no vault/);
    const own = ["--database", join(home, "lango.db")];
    expectOneFault(await lango([...flags(), ...own], { home }), 9, /of this Lango already/);
  });

  test("a database server is named, and no vault is made in the home", async () => {
    const home = originalHome();
    const env = { ...ALONE, DATABASE_URL: "postgres://nobody@127.0.0.1:1/none" };
    expectOneFault(await lango(flags(), { home, env }), 78, /name a database server/);
    expect(readdirSync(home)).toEqual(["lango.db"]);
  });

  test("goes on where a former call, or the original since, left off", async () => {
    const template = originalHome({ inLog: 1 });
    const aside = join("lango.db.original");
    // Before the first name went: the original may have been started again.
    const linked = copyOf(template);
    linkSync(join(linked, "lango.db"), join(linked, aside));
    linkSync(join(linked, "lango.db-wal"), join(linked, `${aside}-wal`));
    const holder = await holdOriginal(makers(), { file: join(linked, "lango.db") });
    holder.stdin?.end();
    await once(holder, "close");
    expect((await migrate(linked)).code).toBe(0);
    await expectBrought(linked);
    // After it went, and before its log did.
    const renamed = copyOf(template);
    renameSync(join(renamed, "lango.db"), join(renamed, aside));
    linkSync(join(renamed, "lango.db-wal"), join(renamed, `${aside}-wal`));
    expect((await migrate(renamed)).code).toBe(0);
    await expectBrought(renamed);
    // The original made a new database meanwhile.
    const twice = copyOf(template);
    renameSync(join(twice, "lango.db-wal"), join(twice, `${aside}-wal`));
    writeFileSync(join(twice, aside), readFileSync(join(twice, "lango.db")), { mode: 0o600 });
    const both = snapshot(twice);
    expectOneFault(await migrate(twice), 9, /lango\.db\.original are both there/);
    const after = snapshot(twice);
    for (const [name, hash] of Object.entries(both)) expect(after[name]).toBe(hash);
    rmSync(join(twice, "lango.db"));
    expect((await migrate(twice)).code).toBe(0);
    await expectBrought(twice);
  });

  test("where no vault can be made, the original is as it was", async () => {
    const home = originalHome({ encrypted: "passphrase", inLog: 1 });
    const files = () =>
      Object.entries(snapshot(home)).filter(([path]) => !/-shm$|lango\.lock$/.test(path));
    const before = files();
    chmodSync(home, 0o755);
    expectOneFault(await migrate(home), 78, /has mode 0755/);
    expect(files()).toEqual(before);
    chmodSync(home, 0o700);
    const short = ["--passphrase-file", fileWith("short\n")];
    expectOneFault(await migrate(home, short), 2, /it needs at least/);
    expect(files()).toEqual(before);
    const done = await migrate(home);
    expect(done.stderr).toContain("It opens with the passphrase of the original");
    await expectBrought(home);
  });

  test("what the original made anew after a vault was half made is not taken for that", async () => {
    const home = originalHome({ encrypted: "passphrase" });
    const database = readFileSync(join(home, "lango.db"));
    const env = { ...ALONE, LANGO_TEST_KILL: "1 onboard:database" };
    const preload = ["--import", new URL("./kill-at-stage.ts", import.meta.url).href];
    const killed = spawnSync(process.execPath, [...preload, ...LANGO, ...flags()], {
      env: environment(home, env),
    });
    expect(killed.signal).toBe("SIGKILL");
    expect(existsSync(join(home, "lango.db.onboarding"))).toBe(true);
    for (const suffix of ["", "-wal", "-shm"])
      rmSync(join(home, `lango.db${suffix}`), { force: true });
    writeFileSync(join(home, "lango.db"), database, { mode: 0o600 });
    const before = snapshot(home);
    expectOneFault(await migrate(home), 9, /lango\.db\.original are both there/);
    const onboard = ["onboard", "--passphrase-file", fileWith("a passphrase of its own\n")];
    expectOneFault(await lango(onboard, { home, env: ALONE }), 9, /keyslots\.json is not/);
    expect(snapshot(home)).toEqual({ ...before, "lango.lock": snapshot(home)["lango.lock"] });
    rmSync(join(home, "lango.db"));
    expect((await migrate(home)).code).toBe(0);
    await expectBrought(home);
  });

  test("a look at a home of the original leaves its log where it is", async () => {
    const home = originalHome({ inLog: 1 });
    for (const name of ["lango.db", "lango.db-wal"]) chmodSync(join(home, name), 0o600);
    const read = () => ["lango.db", "lango.db-wal"].map((name) => readFileSync(join(home, name)));
    const before = read();
    for (const command of [["onboard"], ["doctor"], ["security", "status"]]) {
      expect((await lango(command, { home })).code).not.toBe(0);
      expect(read()).toEqual(before);
    }
  });

  test("names cannot pass for other text, however long", async () => {
    const value = new Uint8Array(3);
    const home = originalHome({
      secrets: [
        { name: 'a" is b here\n\u202eleft: "c', value },
        { name: "x".repeat(100_000), value },
      ],
    });
    const { stdout, stderr } = await migrate(home, ["--dry-run"]);
    expect(stdout).toContain('"a\\" is b here\\n\\u202eleft: \\"c" is a__is_b_here__left');
    expect(stdout.length).toBeLessThan(1000);
    expect(stderr).toContain("Left: the settings default");
    expect(stderr).toContain("Left, as no secrets: 1 of sessions");
  });

  test("options of it without it are refused", async () => {
    const ran = await lango(["security", "db-migrate", "--database", "x"], { home: "/nowhere" });
    expectOneFault(ran, 2, /--database goes with --from-passphrase/);
  });
});

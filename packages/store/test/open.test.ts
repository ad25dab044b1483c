import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { openStore } from "@lango/store";
import { describe, expect, it } from "vitest";
import { loadSqlite } from "../src/driver.ts";
import {
  DRIVERS,
  ended,
  fails,
  insertKeys,
  insertSecret,
  newStore,
  open,
  Sqlite,
  startScript,
  tempHome,
} from "./helpers.ts";
import { keyRow } from "./rows.ts";

const mode = (path: string) => (statSync(path).mode & 0o7777).toString(8);
const modes = (home: string) =>
  Object.fromEntries(
    readdirSync(home)
      .sort()
      .map((name) => [name, mode(join(home, name))]),
  );

describe.each(DRIVERS)("opening with %s", (_, sqlite) => {
  it("every file has mode 0600 from birth, whatever the umask, and the side files go at the end", async () => {
    const home = tempHome();
    const before = process.umask(0);
    try {
      const store = await open({ file: join(home, "lango.db"), mode: "create", sqlite });
      await store.transaction("full", async (tx) => void (await tx.keys.insert(keyRow())));
      await store.withLock(async () => {
        expect(modes(home)).toEqual({
          "lango.db": "600",
          "lango.db-shm": "600",
          "lango.db-wal": "600",
          "lango.lock": "600",
        });
      });
      await store.close();
    } finally {
      process.umask(before);
    }
    expect(readdirSync(home).sort()).toEqual(["lango.db", "lango.lock"]);
  });

  it("create keeps what is there; open and read make nothing", async () => {
    const home = tempHome();
    const file = join(home, "lango.db");
    for (const mode of ["open", "read"] as const) {
      await fails("ERR_NOT_FOUND", openStore({ file, mode, sqlite }));
    }
    expect(readdirSync(home)).toEqual([]);
    const first = await open({ file, mode: "create", sqlite });
    await first.transaction("full", async (tx) => void (await tx.keys.insert(keyRow())));
    await first.close();
    const second = await open({ file, mode: "create", sqlite });
    expect(await second.keys.list()).toHaveLength(1);
    await fails(
      "ERR_NOT_FOUND",
      openStore({ file: join(home, "none", "lango.db"), mode: "create", sqlite }),
    );
  });

  it("mode read reads beside a writer, writes nothing, and leaves nothing behind", async () => {
    const store = await newStore({ sqlite });
    await store.transaction("full", insertKeys);
    const reader = await open({ file: store.location, mode: "read", sqlite });
    expect(await reader.keys.list()).toHaveLength(1);
    await fails(
      "ERR_ACCESS_DENIED",
      reader.transaction("full", async () => undefined),
    );
    await fails(
      "ERR_ACCESS_DENIED",
      reader.withLock(async () => undefined),
    );
    await store.close();
    await reader.close();
    const alone = await open({ file: store.location, mode: "read", sqlite });
    expect(await alone.keys.list()).toHaveLength(1);
    await alone.close();
    expect(readdirSync(dirname(store.location)).sort()).toEqual(["lango.db", "lango.lock"]);
  });

  it("refuses what is no database, and leaves it byte for byte", async () => {
    const foreign = (file: string) => {
      const database = new sqlite(file, {});
      database.exec("create table t (a); insert into t values (1); pragma application_id = 5");
      database.close();
      chmodSync(file, 0o600);
    };
    const makers: Record<string, (file: string) => void> = {
      text: (file) =>
        writeFileSync(file, "not a database at all, but long enough to look at".repeat(100), {
          mode: 0o600,
        }),
      empty: (file) => writeFileSync(file, "", { mode: 0o600 }),
      short: (file) => writeFileSync(file, "SQLite format 3\0", { mode: 0o600 }),
      foreign,
    };
    for (const [name, make] of Object.entries(makers)) {
      const home = tempHome();
      const file = join(home, "lango.db");
      make(file);
      const before = readFileSync(file);
      for (const mode of ["create", "open", "read"] as const) {
        const error = await fails("ERR_INTEGRITY", openStore({ file, mode, sqlite }));
        expect(error.message, name).toContain(file);
        expect(readFileSync(file).equals(before), name).toBe(true);
      }
      expect(readdirSync(home), name).toEqual(["lango.db"]);
    }
  });
});

it("refuses a file or folder that others may enter, with the chmod line", async () => {
  const store = await newStore();
  await store.close();
  const home = dirname(store.location);
  chmodSync(store.location, 0o640);
  const wideFile = await fails("ERR_CONFIG", openStore({ file: store.location, mode: "open" }));
  expect(wideFile.context.hint).toBe(`Run: chmod 600 '${store.location}'`);
  expect(wideFile.message).toContain("640");
  chmodSync(store.location, 0o600);
  chmodSync(home, 0o750);
  const wideFolder = await fails("ERR_CONFIG", openStore({ file: store.location, mode: "read" }));
  expect(wideFolder.context.hint).toBe(`Run: chmod 700 '${home}'`);
  expect(spawnSync("sh", ["-c", wideFolder.context.hint!.replace("Run: ", "")]).status).toBe(0);
  await (await openStore({ file: store.location, mode: "read" })).close();
});

it("the hint is one shell word, also for a folder with a quote", async () => {
  const home = join(tempHome(), "it's $HOME");
  mkdirSync(home, { mode: 0o755 });
  const error = await fails(
    "ERR_CONFIG",
    openStore({ file: join(home, "lango.db"), mode: "create" }),
  );
  expect(spawnSync("sh", ["-c", error.context.hint!.replace("Run: ", "")]).status).toBe(0);
  expect(mode(home)).toBe("700");
});

it("follows symbolic links to one place, so that log and lock are shared", async () => {
  const store = await newStore();
  const links = tempHome();
  symlinkSync(store.location, join(links, "link.db"));
  symlinkSync(dirname(store.location), join(links, "folder"));
  for (const file of [join(links, "link.db"), join(links, "folder", "lango.db")]) {
    const other = await open({ file, mode: "open", busyTimeoutMs: 50 });
    expect(other.location).toBe(store.location);
    await store.withLock(() =>
      fails(
        "ERR_CONFLICT",
        other.withLock(async () => undefined),
      ),
    );
  }
  expect(readdirSync(links).sort()).toEqual(["folder", "link.db"]);
  symlinkSync(join(links, "nowhere"), join(links, "broken.db"));
  await fails("ERR_CONFIG", openStore({ file: join(links, "broken.db"), mode: "create" }));
  expect(existsSync(join(links, "nowhere"))).toBe(false);
});

it("refuses folders, pipes and names that the driver would change", async () => {
  const home = tempHome();
  mkdirSync(join(home, "folder.db"), { mode: 0o700 });
  spawnSync("mkfifo", ["-m", "600", join(home, "pipe.db")]);
  for (const name of ["folder.db", "pipe.db", "space.db "]) {
    for (const mode of ["create", "open"] as const) {
      await fails("ERR_CONFIG", openStore({ file: join(home, name), mode }));
    }
  }
});

it("does not join a new database to the log of a lost one", async () => {
  const store = await newStore();
  await store.transaction("full", insertKeys);
  const copy = join(tempHome(), "lango.db");
  linkSync(`${store.location}-wal`, `${copy}-wal`);
  const before = readFileSync(`${copy}-wal`);
  const error = await fails("ERR_INTEGRITY", openStore({ file: copy, mode: "create" }));
  expect(error.message).toContain(`${copy}-wal`);
  expect(readFileSync(`${copy}-wal`).equals(before)).toBe(true);
});

it("leftovers of a killed create are replaced", async () => {
  const file = join(tempHome(), "lango.db");
  writeFileSync(`${file}.new`, "half", { mode: 0o600 });
  writeFileSync(`${file}.new-journal`, "half", { mode: 0o600 });
  const store = await open({ file, mode: "create" });
  await store.close();
  expect(readdirSync(dirname(file)).sort()).toEqual(["lango.db", "lango.lock"]);
});

it("two creates at once make one database", async () => {
  const file = join(tempHome(), "lango.db");
  const stores = await Promise.all([1, 2, 3].map(() => open({ file, mode: "create" })));
  await stores[0]!.transaction("full", async (tx) => void (await tx.keys.insert(keyRow())));
  for (const store of stores) expect(await store.keys.list()).toHaveLength(1);
});

it("damage found later is ERR_INTEGRITY: truncated, and flipped bytes in a page", async () => {
  const store = await newStore();
  await store.transaction("full", async (tx) => {
    const { dataKey } = await insertKeys(tx);
    for (let index = 0; index < 500; index++)
      await insertSecret(tx, dataKey, { name: `n${index}` });
  });
  await store.close();
  const whole = readFileSync(store.location);

  truncateSync(store.location, 4096 * 10);
  const cut = await fails("ERR_INTEGRITY", async () => {
    const damaged = await open({ file: store.location, mode: "read" });
    await damaged.secrets.list({ collection: "secrets" });
  });
  expect(cut.message).toContain(store.location);
  expect(statSync(store.location).size).toBe(4096 * 10);

  const flipped = Buffer.from(whole);
  // Secrets fill the second half; the schema and the migrations come first.
  for (let page = Math.ceil(flipped.length / 8192); page < flipped.length / 4096; page++) {
    for (let index = 0; index < 64; index++) flipped[page * 4096 + index]! ^= 0xff;
  }
  writeFileSync(store.location, flipped);
  const damaged = await open({ file: store.location, mode: "read" });
  await fails("ERR_INTEGRITY", damaged.secrets.list({ collection: "secrets" }));
  expect((await damaged.integrityCheck()).length).toBeGreaterThan(0);
  await damaged.close();
  expect(readFileSync(store.location).equals(flipped)).toBe(true);
});

it("reads a folder without write access, as another user than root", async () => {
  const home = tempHome();
  const store = await open({ file: join(home, "lango.db"), mode: "create" });
  await store.transaction("full", insertKeys);
  await store.close();
  for (const driver of DRIVERS.map(([name]) => name)) {
    const script = startScript("read-only.ts", store.location, driver);
    expect(await ended(script), script.output()).toBe(0);
    expect(script.output()).toContain("keys: 1; write: ERR_ACCESS_DENIED; open: ERR_");
  }
  expect(readdirSync(home).sort()).toEqual(["lango.db", "lango.lock"]);
});

describe("drivers", () => {
  const missing = (name: string) =>
    Object.assign(new Error(`Cannot find package '${name}' imported from x`), {
      code: "ERR_MODULE_NOT_FOUND",
    });

  it("prefers the one that reads encrypted databases, then takes the other", async () => {
    const [ciphers, plain] = [class {}, class {}];
    expect(
      await loadSqlite(async (name) => ({ default: name.includes("ciphers") ? ciphers : plain })),
    ).toBe(ciphers);
    const one = loadSqlite(async (name) => {
      if (name.includes("ciphers")) throw missing(name.split("/")[0] ?? name);
      return { default: plain };
    });
    expect(await one).toBe(plain);
  });

  it("none is ERR_PROVIDER_NOT_INSTALLED with the command", async () => {
    const error = await fails(
      "ERR_PROVIDER_NOT_INSTALLED",
      loadSqlite((name) => Promise.reject(missing(name.split("/")[0] ?? name))),
    );
    expect(error.context.hint).toBe("npm install better-sqlite3-multiple-ciphers");
  });

  it("one that is there but broken is not passed over", async () => {
    for (const broken of [new Error("wrong ELF class"), missing("node-addon-api")]) {
      const error = await fails(
        "ERR_INTERNAL",
        loadSqlite(() => Promise.reject(broken)),
      );
      expect(error.cause).toBe(broken);
    }
  });

  it("the first of them loads by default, without a diagnostic report", async () => {
    const { report } = process;
    let reports = 0;
    const getReport = (): object => {
      reports += 1;
      return report.getReport();
    };
    Object.defineProperty(process, "report", { value: { getReport }, configurable: true });
    try {
      const database = new (await loadSqlite())(":memory:", {});
      expect(database.prepare("select sqlite3mc_version()").all()).toHaveLength(1);
      database.close();
    } finally {
      Object.defineProperty(process, "report", { value: report, configurable: true });
    }
    expect(reports).toBe(0);
  });

  it("its main entry does where there is none for the machine alone", async () => {
    const load = async (name: string): Promise<unknown> => {
      if (!name.includes("/")) return { default: Sqlite };
      throw Object.assign(new Error("x"), { code: "ERR_PACKAGE_PATH_NOT_EXPORTED" });
    };
    expect(await loadSqlite(load)).toBe(Sqlite);
  });
});

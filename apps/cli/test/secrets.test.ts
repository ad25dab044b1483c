import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import {
  environment,
  expectOneFault,
  fileWith,
  LANGO,
  lango,
  langoJson,
  PASSPHRASE,
  SECRET,
  snapshot,
  vaultHome,
} from "./support.ts";

let home: string;
beforeEach(async () => {
  home = await vaultHome();
});

const secrets = (args: readonly string[], options: Parameters<typeof lango>[1] = {}) =>
  lango(["security", "secrets", ...args], { home, ...options });
const secretsJson = async (args: readonly string[], options: Parameters<typeof lango>[1] = {}) =>
  (await langoJson(["security", "secrets", ...args], { home, ...options })).document;
const reveal = async (name: string, ...flags: string[]) =>
  (await secrets(["get", name, "--reveal", ...flags])).bytes;

describe("secrets set", () => {
  test("takes the value from stdin, without one line break at its end", async () => {
    const ran = await secrets(["set", "a/b.c_d-1"], { input: "two\nlines\n\n" });
    expect(ran).toMatchObject({ code: 0, stdout: "stored a/b.c_d-1, version 1\n", stderr: "" });
    expect((await reveal("a/b.c_d-1")).toString()).toBe("two\nlines\n");
  });

  test.each([
    ["LF", "v\n", [], "v"],
    ["CRLF", "v\r\n", [], "v"],
    ["LF with --raw", "v\n", ["--raw"], "v\n"],
    ["nothing at all", "", ["--allow-empty"], ""],
    ["bytes that are no text", new Uint8Array([0, 255, 10, 254]), [], "\u0000\u00ff\n\u00fe"],
  ])("with %s at the end", async (_, input, flags, expected) => {
    expect((await secrets(["set", "x", ...flags], { input })).code).toBe(0);
    expect((await reveal("x")).toString("latin1")).toBe(expected);
  });

  test.each(["", "\n"])("refuses %j, which a failing command leaves", async (input) => {
    const ran = await secrets(["set", "api/key"], { input });
    expectOneFault(ran, 2, /The value is empty$/);
    expect(ran.stderr).toContain("--allow-empty");
    expect((await reveal("api/key")).toString()).toBe(SECRET);
  });

  test("takes the value from a file", async () => {
    const file = fileWith("from a file\n");
    expect((await secrets(["set", "x", "--from-file", file])).code).toBe(0);
    expect((await reveal("x")).toString()).toBe("from a file");
  });

  test("takes a value on the command line with a warning", async () => {
    const ran = await secrets(["set", "x", SECRET]);
    expect(ran.code).toBe(0);
    expect(ran.stderr).toContain("warning: A value on the command line");
    expect(ran.stderr + ran.stdout).not.toContain(SECRET);
  });

  test.each([
    ["--strict", ["--strict"], {}],
    ["CI=true", [], { CI: "true" }],
    ["CI=1", [], { CI: "1" }],
  ])("refuses a value on the command line with %s", async (_, flags, env) => {
    const ran = await secrets(["set", "x", SECRET, ...flags], { env });
    expectOneFault(ran, 2, /is refused/);
    expect(ran.stderr).not.toContain(SECRET);
  });

  test("takes it with CI=false", async () => {
    expect((await secrets(["set", "x", "v"], { env: { CI: "false" } })).code).toBe(0);
  });

  test("adds a version, unless told otherwise", async () => {
    expect(await secretsJson(["set", "api/key"], { input: "2" })).toMatchObject({
      data: { name: "api/key", version: 2, created: false },
    });
    expectOneFault(await secrets(["set", "api/key", "--create-only"], { input: "3" }), 9, /exists/);
    expectOneFault(await secrets(["set", "api/key", "--if-version", "1"], { input: "3" }), 9, /./);
    expect((await secrets(["set", "api/key", "--if-version", "2"], { input: "3" })).code).toBe(0);
    expectOneFault(
      await secrets(["set", "nope", "--if-version", "2"], { input: "3" }),
      9,
      /There is no secret nope, so it is not at version 2/,
    );
    expect((await secrets(["set", "fresh", "--if-version", "0"], { input: "3" })).code).toBe(0);
  });

  test("refuses names and sizes out of bounds and leaves the home as it was", async () => {
    for (const name of ["a b", "../x", "/a", "a/", "x".repeat(257), "ü"]) {
      expectOneFault(await secrets(["set", name], { input: "v" }), 2, /./);
    }
    const big = new Uint8Array(1024 * 1024 + 1);
    expectOneFault(await secrets(["set", "big", "--raw"], { input: big }), 2, /./);
    expectOneFault(await secrets(["set", "x", "v", "--from-file", "f"]), 2, /not both/);
    expectOneFault(await secrets(["set", "x", "--from-file", "/nonexistent"]), 3, /Cannot read/);
    expectOneFault(await secrets(["set", "x", "--key", "local:none"], { input: "v" }), 3, /none/);
    expectOneFault(await secrets(["set", "x", "--passphrase-stdin"]), 2, /both the passphrase/);
    expect((await secretsJson(["list"])).data.secrets).toHaveLength(1);
  });

  test("takes 1 MiB", async () => {
    const input = new Uint8Array(1024 * 1024).fill(7);
    expect((await secrets(["set", "big"], { input })).code).toBe(0);
    expect((await reveal("big")).equals(input)).toBe(true);
  });

  test("changes nothing with --dry-run", async () => {
    const ran = await secrets(["set", "x", "--dry-run"], { input: "v" });
    expect(ran.stdout).toBe("would store x, which is new\n");
    expect((await secrets(["get", "x"])).code).toBe(3);
  });
});

describe("secrets get", () => {
  test("prints the reference and needs no passphrase", async () => {
    const env = { LANGO_PASSPHRASE: undefined };
    expect(await secrets(["get", "api/key"], { env })).toMatchObject({
      code: 0,
      stdout: "{{secret:api/key}}\n",
    });
    expect(await secretsJson(["get", "api/key"], { env })).toEqual({
      schemaVersion: 1,
      ok: true,
      data: { name: "api/key", reference: "{{secret:api/key}}" },
    });
  });

  test("prints exactly the value with --reveal", async () => {
    expect(await secrets(["get", "api/key", "--reveal"])).toMatchObject({
      code: 0,
      stdout: SECRET,
      stderr: "",
    });
    expect((await secretsJson(["get", "api/key", "--reveal"])).data).toEqual({
      name: "api/key",
      version: 1,
      value: SECRET,
    });
    await secrets(["set", "bytes"], { input: new Uint8Array([255, 0]) });
    expect((await secretsJson(["get", "bytes", "--reveal"])).data.valueBase64).toBe("/wA=");
  });

  test("prints an earlier version", async () => {
    await secrets(["set", "api/key"], { input: "new" });
    expect((await reveal("api/key", "--version", "1")).toString()).toBe(SECRET);
    expect((await reveal("api/key")).toString()).toBe("new");
    expectOneFault(await secrets(["get", "api/key", "--reveal", "--version", "9"]), 3, /./);
    expectOneFault(await secrets(["get", "api/key", "--version", "1"]), 2, /--reveal/);
    expectOneFault(await secrets(["get", "api/key", "--reveal", "--version", "x"]), 2, /number/);
  });

  test("is 3 for what is not there, 4 for a wrong passphrase", async () => {
    expectOneFault(await secrets(["get", "none"]), 3, /no secret none/);
    expectOneFault(await secrets(["get", "none", "--reveal"]), 3, /./);
    const env = { LANGO_PASSPHRASE: "not the passphrase" };
    const wrong = await secrets(["get", "api/key", "--reveal"], { env });
    expectOneFault(wrong, 4, /does not open the vault \(from LANGO_PASSPHRASE\)/);
    expect(wrong.stderr).not.toContain("not the passphrase");
  });

  test("with a keyfile alone is denied where nobody can be asked", async () => {
    writeFileSync(join(home, "passphrase"), PASSPHRASE, { mode: 0o600 });
    const env = { LANGO_PASSPHRASE: undefined };
    const denied = await secrets(["get", "api/key", "--reveal"], { env });
    expectOneFault(denied, 5, /consent.*passphrase can be read by every process/);
    expect(denied.stderr).toContain("--passphrase-fd");
    expect(denied.stdout + denied.stderr).not.toContain(SECRET);
    // The keyfile is enough for what shows no value.
    expect((await secrets(["history", "api/key"], { env })).code).toBe(0);
    // A passphrase for the command itself is consent.
    const given = await secrets(["get", "api/key", "--reveal"]);
    expect(given.stdout).toBe(SECRET);
    const fromFile = await secrets(
      ["get", "api/key", "--reveal", "--passphrase-file", fileWith(PASSPHRASE)],
      { env },
    );
    expect(fromFile.stdout).toBe(SECRET);
  });

  test("without any source is 4", async () => {
    const env = { LANGO_PASSPHRASE: undefined };
    expectOneFault(
      await secrets(["get", "api/key", "--reveal"], { env }),
      4,
      /is locked and nothing gave its passphrase/,
    );
  });
});

describe("secrets list, history, rollback, delete", () => {
  test("list shows names and dates and no values, without a passphrase", async () => {
    const env = { LANGO_PASSPHRASE: undefined };
    const ran = await secrets(["list"], { env });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toMatch(
      /^NAME +KEY +VERSION +CREATED +UPDATED +USES\napi\/key +local:default +1 /,
    );
    expect(ran.stdout).not.toContain(SECRET);
    const { data } = await secretsJson(["list"], { env });
    expect(data.secrets[0]).toMatchObject({
      name: "api/key",
      key: "local:default",
      version: 1,
      uses: 0,
    });
    await reveal("api/key");
    expect((await secretsJson(["list"], { env })).data.secrets[0].uses).toBe(1);
  });

  test("history and rollback", async () => {
    await secrets(["set", "api/key"], { input: "second" });
    const { data } = await secretsJson(["history", "api/key"]);
    expect(data.versions).toMatchObject([
      { version: 2, current: true, size: 6 },
      { version: 1, current: false, size: SECRET.length },
    ]);
    expect((await secrets(["rollback", "api/key", "--dry-run"])).stdout).toMatch(
      /^would make version 1/,
    );
    expect((await secretsJson(["rollback", "api/key"])).data).toEqual({
      name: "api/key",
      version: 3,
      from: 1,
    });
    expect((await reveal("api/key")).toString()).toBe(SECRET);
    expect((await secretsJson(["rollback", "api/key", "--version", "2"])).data.from).toBe(2);
    expectOneFault(await secrets(["rollback", "api/key", "--version", "99"]), 3, /no version 99/);
    await secrets(["set", "single"], { input: "v" });
    expectOneFault(await secrets(["rollback", "single"]), 3, /no version before/);
  });

  test("delete wants a yes, and removes", async () => {
    expectOneFault(await secrets(["delete", "api/key"]), 2, /needs a yes/);
    expect((await secrets(["delete", "api/key", "--dry-run"])).stdout).toMatch(/^would delete/);
    expect(await secrets(["delete", "api/key", "--yes"])).toMatchObject({
      code: 0,
      stdout: "deleted api/key\n",
    });
    expectOneFault(await secrets(["delete", "api/key", "--yes"]), 3, /no secret/);
    expect((await secrets(["list"])).stdout).toBe("");
    // Versions go on after the tombstone.
    expect((await secretsJson(["set", "api/key"], { input: "v" })).data.version).toBe(2);
  });
});

describe("migrate-passphrase", () => {
  const next = "a passphrase that is new";
  const change = (...more: string[]) => [
    "security",
    "migrate-passphrase",
    "--old-passphrase-file",
    fileWith(PASSPHRASE),
    "--new-passphrase-file",
    fileWith(next),
    ...more,
  ];

  test("changes it, and everything stays readable", async () => {
    const ran = await lango(change("--kdf", "pbkdf2-sha256"), { home });
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stdout).toBe("The passphrase was changed\n");
    expect(ran.stderr).toContain("kept a copy of the old keyslots.json");
    expectOneFault(await secrets(["get", "api/key", "--reveal"]), 4, /does not open/);
    const env = { LANGO_PASSPHRASE: next };
    expect((await secrets(["get", "api/key", "--reveal"], { env })).stdout).toBe(SECRET);
    const { data } = (await langoJson(["security", "slots", "list"], { home })).document;
    expect(data.slots).toMatchObject([{ kind: "passphrase", kdf: "pbkdf2-sha256" }]);
  });

  test("writes the new one into a keyfile that held the old one, and names it", async () => {
    const keyfile = join(home, "passphrase");
    writeFileSync(keyfile, `${PASSPHRASE}\n`, { mode: 0o600 });
    const { document } = await langoJson(change(), { home, env: { LANGO_PASSPHRASE: undefined } });
    expect(document.data.keyfile).toBe(keyfile);
    const env = { LANGO_PASSPHRASE: undefined };
    expect((await secrets(["history", "api/key"], { env })).code).toBe(0);
  });

  test("leaves another keyfile alone", async () => {
    const keyfile = fileWith("something else entirely");
    const { document } = await langoJson(change(), {
      home,
      env: { LANGO_PASSPHRASE: undefined, LANGO_KEYFILE: keyfile },
    });
    expect(document.data.keyfile).toBeNull();
  });

  test("asks for the old one even where a keyfile would open the vault", async () => {
    writeFileSync(join(home, "passphrase"), PASSPHRASE, { mode: 0o600 });
    const before = snapshot(home);
    const ran = await lango(
      ["security", "change-passphrase", "--new-passphrase-file", fileWith(next)],
      { home, env: { LANGO_PASSPHRASE: undefined } },
    );
    expectOneFault(ran, 4, /No source gave/);
    expect(snapshot(home)).toEqual(before);
  });

  test("refuses a wrong old one, a short new one and a weak key derivation", async () => {
    const slots = snapshot(home)[join(home, "keyslots.json")];
    const wrong = ["--old-passphrase-file", fileWith("wrong passphrase")];
    const args = [
      "security",
      "migrate-passphrase",
      ...wrong,
      "--new-passphrase-file",
      fileWith(next),
    ];
    expectOneFault(await lango(args, { home }), 4, /does not open/);
    const short = ["security", "migrate-passphrase", "--new-passphrase-file", fileWith("short")];
    expectOneFault(await lango(short, { home }), 2, /5 characters/);
    expectOneFault(await lango(change("--kdf", "pbkdf2-sha256:5"), { home }), 2, /weaker/);
    expect((await lango(change("--dry-run"), { home })).stdout).toMatch(/would replace/);
    expect(snapshot(home)[join(home, "keyslots.json")]).toBe(slots);
  });
});

describe("descriptors", () => {
  /** lango with files of these contents as its descriptors 3, 4, …. */
  const withDescriptors = (
    args: readonly string[],
    contents: readonly string[],
    home: string,
    input?: string,
  ) => {
    const words = [process.execPath, ...LANGO, ...args].map((word) => `'${word}'`).join(" ");
    const redirections = contents.map((text, at) => `${at + 3}<'${fileWith(text)}'`).join(" ");
    const stdin = input === undefined ? "</dev/null" : `<'${fileWith(input)}'`;
    const child = spawnSync("sh", ["-c", `exec ${words} ${redirections} ${stdin}`], {
      env: environment(home, { LANGO_PASSPHRASE: undefined }),
      encoding: "utf8",
    });
    return { ...child, code: child.status, bytes: Buffer.alloc(0) };
  };
  const NEW = "a new passphrase";

  test("one that is named twice is refused before anything is opened", async () => {
    const home = await vaultHome();
    const before = snapshot(home);
    const migrate = ["security", "migrate-passphrase", "--old-passphrase-fd"];
    const set = ["security", "secrets", "set", "x", "--passphrase-fd"];
    for (const [args, line] of [
      [[...migrate, "3", "--new-passphrase-fd", "3"], /name the same file descriptor 3$/],
      [[...migrate, "3", "--new-passphrase-file", "/dev/fd/3"], /name the same file descriptor 3$/],
      [[...set, "3", "--from-file", "/dev/fd/3"], /name the same file descriptor 3$/],
      [[...set, "19"], /--passphrase-fd 19: file descriptor 19 is not open$/],
      [[...set, "0"], /--passphrase-fd 0: this command reads its input from standard input$/],
    ] as const) {
      expectOneFault(withDescriptors(args, [PASSPHRASE], home, PASSPHRASE), 2, line);
      expect(snapshot(home)).toEqual(before);
    }
  });

  test("two that differ change the passphrase; a wrong old one is named by its option", async () => {
    const home = await vaultHome();
    const args = ["security", "migrate-passphrase", "--kdf", "pbkdf2-sha256"];
    const both = ["--old-passphrase-fd", "3", "--new-passphrase-fd", "4"];
    const wrong = withDescriptors([...args, ...both], ["a wrong one", NEW], home);
    expectOneFault(wrong, 4, /./);
    expect(wrong.stderr).toContain("--old-passphrase-fd 3");
    const onlyOld = withDescriptors([...args, ...both.slice(0, 2)], [PASSPHRASE], home);
    expectOneFault(onlyOld, 2, /The new passphrase is missing/);
    expect(onlyOld.stderr).toContain("--new-passphrase-fd N");
    const changed = withDescriptors([...args, ...both], [PASSPHRASE, NEW], home);
    expect(changed.code, changed.stderr).toBe(0);
  });
});

test("names are shown by a database that is opened once", async () => {
  // Tells each connection that the driver of the database makes.
  const tell = `const { dlopen } = process;
    const construct = (Class, [path, ...more]) => {
      process.stderr.write(\`opened \${path}\\n\`);
      return new Class(path, ...more);
    };
    process.dlopen = (module, ...more) => {
      dlopen(module, ...more);
      const { exports } = module;
      if (exports.Database) {
        module.exports = { ...exports, Database: new Proxy(exports.Database, { construct }) };
      }
    };`;
  const program = ["--import", `data:text/javascript,${encodeURIComponent(tell)}`, ...LANGO];
  for (const args of [["list"], ["delete", "nothing", "--yes"]]) {
    const { stderr } = await secrets(args, { program, env: { LANGO_PASSPHRASE: undefined } });
    expect(stderr.split("\n").filter((line) => line.startsWith("opened "))).toEqual([
      `opened ${join(home, "lango.db")}`,
    ]);
  }
});

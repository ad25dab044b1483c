import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  expectOneFault,
  fileWith,
  folder,
  lango,
  langoJson,
  PASSPHRASE,
  snapshot,
  vaultHome,
} from "./support.ts";

const kdfOf = (home: string) =>
  JSON.parse(readFileSync(join(home, "keyslots.json"), "utf8")).slots[0].kdf;

describe("onboard", () => {
  test("makes a vault with Argon2id, private files, a warning and the next steps", async () => {
    const home = join(folder(), "new");
    const ran = await lango(["onboard"], { home });
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stdout).toBe(`Created a vault in ${home}\n`);
    expect(ran.stderr).toContain("Whoever loses this passphrase loses the data");
    expect(ran.stderr).toContain("lango security secrets set NAME");
    expect(kdfOf(home)).toMatchObject({ name: "argon2id", memoryKiB: 65_536, iterations: 3 });
    expect(statSync(home).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(home)) {
      expect(statSync(join(home, name)).mode & 0o077, name).toBe(0);
    }
  });

  test("ends where no folder can ever be made, and makes folders for their owner alone", async () => {
    const never = "/proc/none/deeper";
    expectOneFault(
      await lango(["onboard"], { home: never }),
      5,
      /Cannot make \/proc\/none\/deeper: /,
    );
    const belowFile = join(fileWith("x"), "home");
    expectOneFault(await lango(["onboard"], { home: belowFile }), 78, /./);
    const parent = join(folder(), "new");
    expect((await lango(["onboard"], { home: join(parent, "home") })).code).toBe(0);
    expect(statSync(parent).mode & 0o777).toBe(0o700);
  });

  test("looks at a folder that is there before it asks for a passphrase", async () => {
    const home = folder();
    chmodSync(home, 0o755);
    const ran = await lango(["onboard"], { home, env: { LANGO_PASSPHRASE: undefined } });
    expectOneFault(ran, 78, /has mode 0755: others may read or change it$/);
    expect(ran.stderr).toContain(`Run: chmod 700 ${home}`);
    expectOneFault(
      await lango(["whoami"], { home: fileWith("x") }),
      78,
      /^lango: The home .* is no folder$/,
    );
  });

  test("prints one document with --json, and only the warning on stderr", async () => {
    const home = join(folder(), "new");
    const { document, stderr, code } = await langoJson(["onboard"], { home });
    expect(code).toBe(0);
    expect(document).toMatchObject({ ok: true, data: { home } });
    expect(document.data.vaultId).toMatch(/^[0-9a-f]{32}$/);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  test.each([
    ["a descriptor", (file: string) => ["--passphrase-file", file]],
    ["stdin", () => ["--passphrase-stdin"]],
  ])("takes the passphrase from %s", async (_, flags) => {
    const home = join(folder(), "new");
    const file = fileWith(`${PASSPHRASE}\n`);
    const env = { LANGO_PASSPHRASE: undefined };
    const made = await lango(["onboard", "--no-input", ...flags(file)], {
      home,
      env,
      input: `${PASSPHRASE}\n`,
    });
    expect(made.code, made.stderr).toBe(0);
    expect((await lango(["security", "secrets", "history", "x"], { home })).code).toBe(3);
  });

  test("fails with 4 when no source has a passphrase", async () => {
    const home = join(folder(), "new");
    const ran = await lango(["onboard", "--no-input"], {
      home,
      env: { LANGO_PASSPHRASE: undefined },
    });
    expectOneFault(ran, 4, /Nothing gave a passphrase for the new vault/);
    expect(() => statSync(join(home, "keyslots.json"))).toThrow();
  });

  test("refuses a passphrase of less than 8 characters and leaves nothing", async () => {
    const home = join(folder(), "new");
    const ran = await lango(["onboard"], { home, env: { LANGO_PASSPHRASE: "seven77" } });
    expectOneFault(ran, 2, /7 characters/);
    expect(() => statSync(join(home, "lango.db"))).toThrow();
  });

  test("warns of a passphrase that is easy to guess, and not of a good one", async () => {
    const kdf = ["--kdf", "pbkdf2-sha256:1000", "--accept-weak-kdf"];
    const weak = await lango(["onboard", ...kdf], {
      home: join(folder(), "new"),
      env: { LANGO_PASSPHRASE: "password" },
    });
    expect(weak.code).toBe(0);
    expect(weak.stderr).toContain("easy to guess: it is one of the most used passwords;");
    const repeated = await lango(["onboard", ...kdf], {
      home: join(folder(), "new"),
      env: { LANGO_PASSPHRASE: "aaaaaaaaaa" },
    });
    expect(repeated.stderr).toContain("easy to guess: it repeats one character;");
    const good = await lango(["onboard", ...kdf], {
      home: join(folder(), "new"),
      env: { LANGO_PASSPHRASE: "vat-lilac-bronze-otter-27" },
    });
    expect(good.stderr).not.toContain("easy to guess");
  });

  test.each([
    [["--kdf", "pbkdf2-sha256"], { name: "pbkdf2-sha256", iterations: 600_000 }],
    [["--profile", "seed-000"], { name: "pbkdf2-sha256", iterations: 100_000 }],
    [["--kdf", "pbkdf2-sha256:2000", "--accept-weak-kdf"], { iterations: 2000 }],
  ])("derives with %j", async (flags, kdf) => {
    const home = join(folder(), "new");
    const ran = await lango(["onboard", ...flags], { home });
    expect(ran.code, ran.stderr).toBe(0);
    expect(kdfOf(home)).toMatchObject(kdf);
  });

  test("takes the key derivation from the configuration when nothing is said", async () => {
    const home = folder();
    writeFileSync(join(home, "config.json"), '{"security":{"kdf":"pbkdf2-sha256:700000"}}', {
      mode: 0o600,
    });
    expect((await lango(["onboard"], { home })).code).toBe(0);
    expect(kdfOf(home)).toMatchObject({ iterations: 700_000 });
  });

  test.each([
    [["--kdf", "pbkdf2-sha256:1000"], /weaker than what is safe/],
    [["--kdf", "md5"], /Unknown key derivation/],
    [["--kdf", "argon2id", "--profile", "seed-000"], /not both/],
    [["--profile", "other"], /must be one of seed-000/],
  ])("refuses %j", async (flags, line) => {
    const home = join(folder(), "new");
    expectOneFault(await lango(["onboard", ...flags], { home }), 2, line);
  });

  test("says with --dry-run what it would do, and does not", async () => {
    const home = join(folder(), "new");
    const ran = await lango(["onboard", "--dry-run"], { home });
    expect(ran.stdout).toBe(`would create a vault in ${home}\n`);
    expect(() => statSync(home)).toThrow();
  });

  test("never touches a vault that is there", async () => {
    const home = await vaultHome();
    const before = snapshot(home);
    for (const flags of [[], ["--yes"], ["--dry-run"]]) {
      expectOneFault(await lango(["onboard", ...flags], { home }), 9, /holds a vault already/);
    }
    expect(snapshot(home)).toEqual(before);
  });

  test("never touches a vault with a file that others may read", async () => {
    const home = await vaultHome();
    chmodSync(join(home, "keyslots.json"), 0o644);
    expectOneFault(await lango(["onboard"], { home }), 9, /holds a damaged vault: .* mode 0644/);
    chmodSync(join(home, "keyslots.json"), 0o600);
    chmodSync(join(home, "lango.db"), 0o644);
    expectOneFault(await lango(["onboard"], { home }), 9, /holds a damaged vault: .* mode 0644/);
  });

  test.each([
    ["slots that are damaged", (home: string) => writeFileSync(join(home, "keyslots.json"), "{}")],
    ["a database that is damaged", (home: string) => writeFileSync(join(home, "lango.db"), "no")],
    ["slots without a database", (home: string) => rmSync(join(home, "lango.db"))],
    ["a database without slots", (home: string) => rmSync(join(home, "keyslots.json"))],
  ])("never touches %s", async (_, damage) => {
    const home = await vaultHome();
    damage(home);
    const before = snapshot(home);
    expectOneFault(await lango(["onboard"], { home }), 9, /holds a damaged vault/);
    expect(snapshot(home)).toEqual(before);
  });
});

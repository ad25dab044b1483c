import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { describe, expect, test } from "vitest";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import {
  environment,
  expectOneFault,
  fileWith,
  folder,
  LANGO,
  lango,
  langoJson,
  PASSPHRASE,
  SECRET,
  snapshot,
  vaultHome,
} from "./support.ts";
import { Terminal } from "./terminal.ts";

const OF_BACKUP = "seven dry herrings at noon";
const GET = ["security", "secrets", "get", "api/key", "--reveal"];

/** A key of age: its file, and the recipient that belongs to it. */
const newKey = async (): Promise<{ identity: string; recipient: string }> => {
  const key = await generateIdentity();
  return {
    identity: fileWith(`# created by a test\n${key}\n`),
    recipient: await identityToRecipient(key),
  };
};

describe("backup create, verify and restore", () => {
  test("with a recipient, into a home that is not there; age and tar open it", async () => {
    const age = requireService("age");
    const home = await vaultHome();
    const { identity, recipient } = await newKey();
    const file = join(folder(), "vault.tar.age");
    const made = await langoJson(["backup", "create", "--to", file, "--recipient", recipient], {
      home,
    });
    expect(made.code, made.stdout).toBe(0);
    const { sha256, vaultId, entries } = made.document.data;
    expect(sha256).toBe(createHash("sha256").update(readFileSync(file)).digest("hex"));
    const tail = await langoJson(["audit", "tail"], { home });
    const row = tail.document.data.events.at(-1);
    expect(row).toMatchObject({ action: "backup.create", target: vaultId, outcome: "success" });
    expect(row.detail).toContain(sha256);

    const tar = execFileSync(age, ["-d", "-i", identity, file]);
    const names = execFileSync("tar", ["-t"], { input: tar, encoding: "utf8" }).trim().split("\n");
    expect(names).toEqual(["manifest.json", ...entries.map(({ name }: { name: string }) => name)]);

    const verified = await lango(["backup", "verify", file, "--identity", identity], {});
    expect(verified.code, verified.stderr).toBe(0);
    expect(verified.stdout).toContain(vaultId);

    const to = join(folder(), "to");
    const restored = await lango(["backup", "restore", file, "--identity", identity], { home: to });
    expect(restored.code, restored.stderr).toBe(0);
    expect(restored.stdout).toMatch(/^Restored the vault of .* 1 secret, \d+ rows of the log/);
    expect((await lango(GET, { home: to })).stdout).toBe(SECRET);
    expect((await lango(["audit", "verify", "--rows"], { home: to })).code).toBe(0);
  });

  test("with a passphrase, over a vault: only with --force, and with nothing lost", async () => {
    const home = await vaultHome();
    const secret = fileWith(`${OF_BACKUP}\n`);
    const file = join(folder(), "vault.tar.age");
    const passphrase = ["--backup-passphrase-file", secret];
    const made = await lango(["backup", "create", "--to", file, ...passphrase], { home });
    expect(made.code, made.stderr).toBe(0);
    await lango(["security", "secrets", "set", "later"], { home, input: "x" });
    const before = snapshot(home);
    const restore = ["backup", "restore", file, ...passphrase];
    const unasked = await lango(["backup", "verify", file], {});
    expectOneFault(unasked, 2, /opens with a passphrase, and nobody can be asked/);
    expect(unasked.stderr).toContain("--backup-passphrase-fd N");
    expectOneFault(await lango(restore, { home }), 9, /is not empty/);
    expect(snapshot(home)).toEqual(before);
    const tried = await langoJson([...restore, "--force", "--dry-run"], { home });
    expect(tried.document.data).toMatchObject({ dryRun: true, secretCount: 1, returnedSlots: [] });
    expect(snapshot(home)).toEqual(before);
    const { document } = await langoJson([...restore, "--force"], { home });
    expect(document.ok).toBe(true);
    const { setAside } = document.data;
    expect(Object.values(snapshot(setAside))).toEqual(
      expect.arrayContaining([before[join(home, "lango.db")]]),
    );
    const list = await langoJson(["security", "secrets", "list"], { home });
    expect(list.document.data.secrets.map(({ name }: { name: string }) => name)).toEqual([
      "api/key",
    ]);
    expect((await lango(GET, { home })).stdout).toBe(SECRET);
  });

  test("warn when the restored vault is not what the home or the environment wants", async () => {
    const home = await vaultHome();
    const { identity, recipient } = await newKey();
    const file = join(folder(), "vault.tar.age");
    expect(
      (await lango(["backup", "create", "--to", file, "--recipient", recipient], { home })).code,
    ).toBe(0);
    expect((await lango(["security", "db-migrate", "--yes"], { home })).code).toBe(0);
    const url = fileWith("postgres://u:hunter2@127.0.0.1:1/x\n");
    const restore = ["backup", "restore", file, "--identity", identity, "--force"];
    for (const more of [["--dry-run"], []]) {
      const env = { DATABASE_URL_FILE: url };
      const ran = await lango([...restore, ...more], { home, env });
      expect(ran.code, ran.stderr).toBe(0);
      expect(ran.stderr).toContain("The database of the backup is in plaintext");
      expect(ran.stderr).toContain("DATABASE_URL_FILE is set");
      expect(ran.stderr).not.toContain("hunter2");
    }
    expect((await lango(GET, { home })).stdout).toBe(SECRET);
    expect((await lango([...restore, "--dry-run"], { home })).stderr).not.toContain("plaintext");
  });

  test("say what is wrong with the words, the file and the key", async () => {
    const home = await vaultHome();
    const { identity, recipient } = await newKey();
    const other = await newKey();
    const place = folder();
    const file = join(place, "vault.tar.age");
    const create = ["backup", "create", "--to", file];
    expectOneFault(await lango(create, { home }), 2, /needs a passphrase or a recipient/);
    const both = [...create, "--recipient", recipient, "--backup-passphrase-file", identity];
    expectOneFault(await lango(both, { home }), 2, /either for recipients or for a passphrase/);
    expectOneFault(
      await lango([...create, "--recipient", "age1x"], { home }),
      2,
      /no age recipient/,
    );
    expect((await lango([...create, "--recipient", recipient, "--dry-run"], { home })).code).toBe(
      0,
    );
    expect(readdirSync(place)).toEqual([]);
    expect((await lango([...create, "--recipient", recipient], { home })).code).toBe(0);
    const again = await lango([...create, "--recipient", recipient], { home });
    expectOneFault(again, 9, /is there already/);

    const to = join(folder(), "to");
    const restore = ["backup", "restore", file];
    expectOneFault(await lango(restore, { home: to }), 2, /opens with an identity of age/);
    const wrong = [...restore, "--identity", other.identity];
    expectOneFault(await lango(wrong, { home: to }), 4, /Nothing that was given opens the backup/);
    const locked = await lango([...restore, "--identity", identity], {
      home: to,
      env: { LANGO_PASSPHRASE: "a wrong passphrase" },
    });
    expectOneFault(locked, 4, /LANGO_PASSPHRASE/);
    expectOneFault(await lango(["backup", "verify", identity], {}), 8, /no age file/);
    expectOneFault(await lango(["backup", "verify", "/nope"], {}), 3, /no such file/);
    expect(existsSync(to)).toBe(false);
  });

  test("a restore that was killed between its two renames is ended by the next command", async () => {
    const base = folder();
    const home = join(base, "home");
    const aside = join(base, "home.before-restore-2026");
    renameSync(await vaultHome(), aside);
    const staging = `${home}.restoring`;
    mkdirSync(staging, { mode: 0o700 });
    renameSync(await vaultHome(), join(staging, "home"));
    writeFileSync(join(staging, "ready"), `${aside}\n`, { mode: 0o600 });
    const ran = await lango(["security", "status"], { home });
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stderr).toContain(
      `Ended the restore that was interrupted; the old home is ${aside}`,
    );
    expect(readdirSync(base).sort()).toEqual(["home", "home.before-restore-2026"]);
    expect((await lango(GET, { home })).stdout).toBe(SECRET);
  });

  test("ask for the passphrase of the backup and for that of the vault on a terminal", async () => {
    const home = await vaultHome();
    const file = join(folder(), "vault.tar.age");
    const onTerminal = (at: string, ...args: string[]): Terminal =>
      new Terminal(
        process.execPath,
        [...LANGO, ...args],
        environment(at, { LANGO_PASSPHRASE: undefined }),
      );
    const creating = onTerminal(home, "backup", "create", "--to", file);
    await creating.see("Enter encryption passphrase");
    creating.type(`${PASSPHRASE}\r`);
    await creating.see("Enter a passphrase for the backup (min 8 characters): ");
    creating.type(`${OF_BACKUP}\r`);
    await creating.see("Confirm passphrase: ");
    creating.type(`${OF_BACKUP}\r`);
    expect((await creating.end()).exitCode, creating.output).toBe(0);
    expect(creating.output).not.toContain(OF_BACKUP);

    const to = join(folder(), "to");
    const restoring = onTerminal(to, "backup", "restore", file);
    await restoring.see("Enter the passphrase of the backup: ");
    restoring.type(`${OF_BACKUP}\r`);
    await expect
      .poll(() => restoring.output, { timeout: 60_000 })
      .toContain("Enter encryption passphrase");
    restoring.type(`${PASSPHRASE}\r`);
    expect((await restoring.end()).exitCode, restoring.output).toBe(0);
    expect((await lango(GET, { home: to })).stdout).toBe(SECRET);
  });
});

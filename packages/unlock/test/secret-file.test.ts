import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createUnlocker } from "../src/index.ts";
import { failureOf, obtainInShell, options, slots, temporaryFolder, text } from "./support.ts";

const PASSPHRASE = "correct horse\n";

function write(path: string, mode: string, contents = PASSPHRASE): string {
  writeFileSync(path, contents, { mode: 0o600 });
  chmodSync(path, Number.parseInt(mode, 8));
  return path;
}

const obtain = (home: string, env: Record<string, string> = {}, passphraseFile?: string) =>
  createUnlocker(options(home, { env, passphraseFile })).obtain(slots("passphrase"));

describe("the keyfile", () => {
  test.each(["0600", "0400", "0700"])("is read with mode %s", async (mode) => {
    const home = temporaryFolder();
    const path = write(join(home, "passphrase"), mode);
    const { credential } = await obtain(home);
    expect(credential).toMatchObject({ source: `keyfile ${path}`, ambient: true });
    expect(text(credential.secret)).toBe(PASSPHRASE);
  });

  test.each(["0640", "0604", "0644", "0620", "0601"])("is refused with mode %s", async (mode) => {
    const home = temporaryFolder();
    const path = write(join(home, "passphrase"), mode);
    expect(await failureOf(obtain(home))).toEqual({
      code: "ERR_CONFIG",
      message: `keyfile ${path} has mode ${mode}: others may read or change it`,
      hint: `Run: chmod 600 ${path}`,
    });
  });

  test("the chmod line quotes what a shell would take apart", async () => {
    const home = join(temporaryFolder(), "it's me");
    mkdirSync(home);
    write(join(home, "passphrase"), "0644");
    const { hint } = await failureOf(obtain(home));
    execFileSync("sh", ["-c", hint.replace("Run: ", "")]);
    expect(text((await obtain(home)).credential.secret)).toBe(PASSPHRASE);
  });

  test("of another owner is refused", async () => {
    const home = temporaryFolder();
    // Only root can give a file away; for everybody else the password file of the system is somebody else's.
    const path =
      process.geteuid?.() === 0 ? write(join(home, "passphrase"), "0600") : "/etc/passwd";
    if (process.geteuid?.() === 0) chownSync(path, 54_321, 54_321);
    const { code, message } = await failureOf(obtain(home, { LANGO_KEYFILE: path }));
    expect(code).toBe("ERR_CONFIG");
    expect(message).toMatch(/belongs to user \d+, not to \d+$/);
  });

  test("that is empty is an error and not skipped", async () => {
    const home = temporaryFolder();
    const path = write(join(home, "passphrase"), "0600", "");
    expect(await failureOf(obtain(home, { LANGO_PASSPHRASE: "correct horse" }))).toMatchObject({
      code: "ERR_CONFIG",
      message: `keyfile ${path} is empty`,
    });
  });

  test("beyond 64 KiB is an error", async () => {
    const home = temporaryFolder();
    write(join(home, "passphrase"), "0600", "x".repeat(65_537));
    expect((await failureOf(obtain(home))).message).toContain("holds more than 65536 bytes");
  });

  test("that is a folder or a named pipe is an error, at once", async () => {
    const home = temporaryFolder();
    mkdirSync(join(home, "passphrase"));
    expect((await failureOf(obtain(home))).message).toContain("is not a regular file");
    const fifo = join(home, "fifo");
    execFileSync("mkfifo", ["-m", "600", fifo]);
    expect((await failureOf(obtain(home, { LANGO_KEYFILE: fifo }))).message).toContain(
      "is not a regular file",
    );
  });

  test("behind a symbolic link is judged by what it points to", async () => {
    const home = temporaryFolder();
    const target = write(join(home, "target"), "0600");
    symlinkSync(target, join(home, "passphrase"));
    expect(text((await obtain(home)).credential.secret)).toBe(PASSPHRASE);
    chmodSync(target, 0o644);
    expect((await failureOf(obtain(home))).code).toBe("ERR_CONFIG");
  });

  test("modes are not checked on Windows, where they say nothing", async () => {
    const home = temporaryFolder();
    write(join(home, "passphrase"), "0644");
    const unlocker = createUnlocker(options(home, { platform: "win32" }));
    expect(text((await unlocker.obtain(slots("passphrase"))).credential.secret)).toBe(PASSPHRASE);
  });
});

describe("secrets that the platform hands over", () => {
  test.each(["0400", "0440", "0444"])("a systemd credential is read with mode %s", async (mode) => {
    const home = temporaryFolder();
    const folder = join(home, "credentials");
    mkdirSync(folder);
    const path = write(join(folder, "lango.passphrase"), mode);
    const { credential } = await obtain(home, { CREDENTIALS_DIRECTORY: folder });
    expect(credential).toMatchObject({ source: `credential ${path}`, ambient: true });
  });

  test.each(["0400", "0444"])("a container secret is read with mode %s", async (mode) => {
    const home = temporaryFolder();
    mkdirSync(join(home, "run-secrets"));
    const path = write(join(home, "run-secrets", "lango_passphrase"), mode);
    expect((await obtain(home)).credential.source).toBe(`container secret ${path}`);
  });

  test("the rule is the folder's, also for a variable that names a file in it", async () => {
    const home = temporaryFolder();
    mkdirSync(join(home, "run-secrets"));
    const inside = write(join(home, "run-secrets", "other"), "0444");
    const { credential } = await obtain(home, { LANGO_PASSPHRASE_FILE: inside });
    expect(credential).toMatchObject({ source: "LANGO_PASSPHRASE_FILE", ambient: true });
    const outside = write(join(home, "run-secrets-2"), "0444");
    expect((await failureOf(obtain(home, { LANGO_PASSPHRASE_FILE: outside }))).code).toBe(
      "ERR_CONFIG",
    );
  });

  test.each(["0464", "0446"])("one that others can write is refused (%s)", async (mode) => {
    const home = temporaryFolder();
    mkdirSync(join(home, "run-secrets"));
    write(join(home, "run-secrets", "lango_passphrase"), mode);
    expect((await failureOf(obtain(home))).message).toContain("others may change it");
  });
});

describe("--passphrase-file", () => {
  test("reads a file, and is not ambient", async () => {
    const home = temporaryFolder();
    const path = write(join(home, "mine"), "0600");
    const { credential } = await obtain(home, {}, path);
    expect(credential).toMatchObject({ source: `--passphrase-file ${path}`, ambient: false });
  });
  test("that does not exist is an error", async () => {
    const home = temporaryFolder();
    expect(await failureOf(obtain(home, {}, join(home, "none")))).toMatchObject({
      code: "ERR_CONFIG",
      message: expect.stringContaining("does not exist"),
    });
  });
  test("reads a pipe, as <(command) gives one", () => {
    const result = obtainInShell("printf 'correct horse' | \"$@\"", {
      passphraseFile: "/dev/stdin",
    });
    expect(result).toMatchObject({
      source: "--passphrase-file /dev/stdin",
      secretHex: Buffer.from("correct horse").toString("hex"),
    });
  });
});

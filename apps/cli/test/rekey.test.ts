import { execFile } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { fromHex, randomBytesFresh, toHex, utf8 } from "@lango/crypto-core";
import { type OpenVaultOptions, openVault } from "@lango/vault";
import { describe, expect, test } from "vitest";
import {
  environment,
  expectOneFault,
  fileWith,
  LANGO,
  LANGO_IN_SHELL,
  lango,
  langoJson,
  PASSPHRASE,
  SECRET,
  snapshot,
  vaultHome,
} from "./support.ts";
import { Terminal } from "./terminal.ts";

const run = promisify(execFile);
const REKEY = ["admin", "rekey"];
const ADD = ["security", "slots", "add", "--kind"];
const REVEAL = ["security", "secrets", "get", "api/key", "--reveal"];
const LOCKED = { LANGO_PASSPHRASE: undefined };

const reveal = async (home: string, env = {}): Promise<string> =>
  (await lango(REVEAL, { home, env })).stdout.trim();

describe("admin rekey", () => {
  test("makes a new vault key, keeps the passphrase and every value, and says what it revokes not", async () => {
    const home = await vaultHome();
    const before = snapshot(home);
    const dry = await langoJson([...REKEY, "--dry-run"], { home });
    expect(dry.document.data).toMatchObject({ stay: [{ kind: "passphrase" }], go: [] });
    expect(snapshot(home)["keyslots.json"]).toBe(before["keyslots.json"]);
    expectOneFault(await lango(REKEY, { home }), 2, /needs a yes/);

    const { code, stderr, document } = await langoJson([...REKEY, "--yes"], { home });
    expect(code, stderr).toBe(0);
    expect(document.data).toMatchObject({ generation: 2, dropped: [], renewed: [] });
    expect(document.data.notRevoked.join(" ")).toMatch(/from before still open/);
    expect(await reveal(home)).toBe(SECRET);
    const verified = await lango(["audit", "verify", "--rows"], { home });
    expect(verified.code, verified.stdout + verified.stderr).toBe(0);
    const text = await lango([...REKEY, "--yes"], { home });
    expect(text.stdout).toMatch(
      /The vault has a new key: \d+ keys sealed anew, 1 slot now, 0 went/,
    );
    expect(text.stderr).toMatch(/stays {2}passphrase/);
    expect(text.stderr).toMatch(/from before still open/);
  });

  test("drops what nobody can give only when that is said", async () => {
    const home = await vaultHome();
    const second = fileWith("another long passphrase");
    const kdf = ["--kdf", "pbkdf2-sha256:1000", "--accept-weak-kdf"];
    await lango(
      [...ADD, "passphrase", "--label", "team", ...kdf, "--new-passphrase-file", second],
      {
        home,
      },
    );
    expectOneFault(await lango([...REKEY, "--yes"], { home }), 2, /Nothing is at hand to keep/);
    const { document } = await langoJson([...REKEY, "--yes", "--drop-others"], { home });
    expect(document.data.dropped).toMatchObject([{ label: "team" }]);
    const other = { LANGO_PASSPHRASE: undefined };
    const opened = await lango([...REVEAL, "--passphrase-file", second], { home, env: other });
    expect(opened.code).toBe(4);
    expect(await reveal(home)).toBe(SECRET);
  });

  test("puts a new random key into master.key, 0600, and the old one opens nothing", async () => {
    const home = await vaultHome();
    const file = join(home, "master.key");
    expect((await lango([...ADD, "master-key-file"], { home })).code).toBe(0);
    const old = readFileSync(file, "utf8");
    const { code, stdout, stderr, document } = await langoJson([...REKEY, "--yes"], { home });
    expect(code, stderr).toBe(0);
    expect(document.data.renewed).toEqual([file]);
    const now = readFileSync(file, "utf8");
    expect(now).not.toBe(old);
    expect(stdout + stderr).not.toContain(now.trim());
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(document.data.slots.map(({ kind }: { kind: string }) => kind)).toEqual([
      "passphrase",
      "master-key-file",
    ]);
    expect((await lango(["audit", "verify"], { home, env: LOCKED })).code).toBe(0);
    const given = fileWith(old);
    const script = `${LANGO_IN_SHELL} audit verify --master-key-fd 3 3<"$0"`;
    const shell = run("sh", ["-c", script, given], { env: environment(home, LOCKED) });
    await expect(shell).rejects.toMatchObject({ code: 4 });
  });

  test("takes the new key of LANGO_MASTER_KEY by a descriptor, and shows it nowhere", async () => {
    const home = await vaultHome();
    const [first, next] = [toHex(randomBytesFresh(32)), toHex(randomBytesFresh(32))];
    const inShell = (words: string, key: string, env = {}) =>
      run("sh", ["-c", `${LANGO_IN_SHELL} ${words} 3<"$0"`, fileWith(`${key}\n`)], {
        env: environment(home, env),
      });
    await inShell("security slots add --kind env --key-fd 3", first!);
    const env = { LANGO_PASSPHRASE: undefined, LANGO_MASTER_KEY: first };
    expectOneFault(
      await lango([...REKEY, "--yes", "--drop-others"], { home, env }),
      2,
      /LANGO_MASTER_KEY opens the vault, and needs a new key/,
    );
    const words = "admin rekey --yes --drop-others --new-master-key-fd 3";
    const { stdout, stderr } = await inShell(words, next!, env);
    expect(stdout + stderr).not.toContain(next);
    expect(await reveal(home, { ...env, LANGO_MASTER_KEY: next })).toBe(SECRET);
    expect((await lango(REVEAL, { home, env })).code).toBe(4);
  });

  test("asks at the terminal for the other passphrases, and offers new words", async () => {
    const home = await vaultHome();
    const second = fileWith("another long passphrase");
    const kdf = ["--kdf", "pbkdf2-sha256:1000", "--accept-weak-kdf"];
    const team = ["passphrase", "--label", "team", ...kdf, "--new-passphrase-file", second];
    await lango([...ADD, ...team], { home });
    const terminal = new Terminal(
      process.execPath,
      [...LANGO, ...REKEY],
      environment(home, LOCKED),
    );
    await terminal.see("passphrase");
    terminal.type(`${PASSPHRASE}\r`);
    await terminal.see("Passphrase of slot team");
    terminal.type("another lung passphrase\r");
    await terminal.see("that does not open slot team");
    terminal.type("another long passphrase\r");
    await terminal.see("Make a new vault key?");
    terminal.type("y\r");
    expect((await terminal.end()).exitCode, terminal.output).toBe(0);
    const opened = await lango([...REVEAL, "--passphrase-file", second], { home, env: LOCKED });
    expect(opened.stdout.trim()).toBe(SECRET);
    expect(await reveal(home)).toBe(SECRET);
  });

  test("is not for whatever lies about on the machine", async () => {
    const home = await vaultHome();
    expect((await lango([...ADD, "master-key-file"], { home })).code).toBe(0);
    const before = readFileSync(join(home, "keyslots.json"), "utf8");
    const ran = await lango([...REKEY, "--yes", "--drop-others"], { home, env: LOCKED });
    expect(ran.code).toBe(5);
    expect(readFileSync(join(home, "keyslots.json"), "utf8")).toBe(before);
  });
});

describe("security rotate --compromised", () => {
  test("makes all keys new, and every value is readable", async () => {
    const home = await vaultHome();
    const rotate = ["security", "rotate", "--compromised"];
    const { code, stderr, document } = await langoJson([...rotate, "--yes"], { home });
    expect(code, stderr).toBe(0);
    expect(document.data).toMatchObject({ generation: 2, resealed: 1, verified: 1 });
    expect(document.data.retired).toHaveLength(1);
    expect(document.data.rows).toBeGreaterThan(0);
    // Not everything: whoever has had the vault key could open these.
    expect(document.data.notRevoked.join("\n")).toContain("Local keys");
    expect(readFileSync(join(home, "keyslots.json"), "utf8")).not.toContain("inherited");
    expect(existsSync(join(home, "keyslots.json.tmp"))).toBe(false);
    expect(await reveal(home)).toBe(SECRET);
    const verified = await lango(["audit", "verify", "--rows"], { home });
    expect(verified.code, verified.stdout + verified.stderr).toBe(0);
    expectOneFault(await lango([...rotate, "--resume"], { home }), 2, /leave --compromised out/);
  });

  test("that was interrupted after its first step is in the status, and goes on", async () => {
    const home = await vaultHome();
    const unlock: OpenVaultOptions["unlock"] = async (slots) => ({
      credential: {
        ...{ kind: "passphrase", source: "test", secret: utf8(PASSPHRASE), ambient: false },
        slotIds: slots.slice(0, 1).map(({ id }) => id),
      },
      skipped: [],
    });
    expect((await lango([...ADD, "master-key-file"], { home })).code).toBe(0);
    const vault = await openVault({ home, unlock });
    const [first, file] = await vault.slots.list();
    const old = readFileSync(join(home, "master.key"), "utf8");
    const credentials = [
      {
        slotId: first!.id,
        credential: { kind: "passphrase", passphrase: utf8(PASSPHRASE) } as const,
      },
      {
        slotId: file!.id,
        credential: { kind: "master-key-file", key: fromHex(old.trim())! } as const,
      },
    ];
    await (await vault.rekey({ credentials, compromised: true })).vault.close();
    const status = ["security", "status"];
    expect((await lango(status, { home })).stdout).toMatch(/compromise.*security rotate --resume/);
    expectOneFault(await lango(["security", "rotate", "--yes"], { home }), 9, /has not ended/);
    const resume = ["security", "rotate", "--resume", "--unlock-with", "passphrase"];
    const { code, stderr } = await lango(resume, { home });
    expect(code, stderr).toBe(0);
    // Not everything: whoever has had the vault key could open these.
    expect(stderr).toContain("lango keys rotate KEY");
    expect(stderr).toContain("lango security migrate-passphrase");
    // It died before the key of this machine was another one, which is made up for.
    expect(readFileSync(join(home, "master.key"), "utf8")).not.toBe(old);
    const verify = ["audit", "verify"];
    expect((await lango(verify, { home, env: LOCKED })).code).toBe(0);
    writeFileSync(join(home, "master.key"), old);
    expect((await lango(verify, { home, env: LOCKED })).code).toBe(4);
    expect((await lango(status, { home })).stdout).not.toContain("compromise");
    expect(await reveal(home)).toBe(SECRET);
  });
});

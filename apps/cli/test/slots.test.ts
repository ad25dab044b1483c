import { execFile } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { keyringSession } from "./keyring.ts";
import {
  expectOneFault,
  fileWith,
  LANGO_IN_SHELL,
  lango,
  langoJson,
  PASSPHRASE,
  SECRET,
  snapshot,
  vaultHome,
} from "./support.ts";

const run = promisify(execFile);
const REVEAL = ["security", "secrets", "get", "api/key", "--reveal"];
const fresh = async () => ["--passphrase-file", fileWith(PASSPHRASE)];
const LOCKED = { LANGO_PASSPHRASE: undefined };

const slotsOf = async (home: string): Promise<{ id: string; kind: string; label?: string }[]> =>
  (await langoJson(["security", "slots", "list"], { home })).document.data.slots;

describe("slots add", () => {
  test("of a second passphrase: either opens, and either can go while the other opens", async () => {
    const home = await vaultHome();
    const second = fileWith("another long passphrase");
    const words = ["security", "slots", "add", "--kind", "passphrase", "--label", "team"];
    const kdf = ["--kdf", "pbkdf2-sha256:1000", "--accept-weak-kdf"];
    const added = await lango([...words, ...kdf, "--new-passphrase-file", second], { home });
    expect(added.code, added.stderr).toBe(0);
    const [first, team] = await slotsOf(home);
    expect(team).toMatchObject({ kind: "passphrase", label: "team" });
    const removing = ["security", "slots", "remove", "--yes"];
    for (const words of [[], ["--dry-run"]]) {
      const none = await lango([...removing, "zz", ...words], { home });
      expectOneFault(none, 3, /The vault has no slot zz$/);
      expect(none.stderr).toContain("lango security slots list");
    }
    const nowhere = ["security", "slots", "add", "--kind", "provider"];
    expectOneFault(await lango(nowhere, { home }), 78, /provider is local: it names no key/);
    expectOneFault(await lango([...removing, first!.id], { home }), 9, /opened the vault just now/);
    const removed = await lango([...removing, first!.id, "--passphrase-file", second], {
      home,
      env: LOCKED,
    });
    expect(removed.code, removed.stderr).toBe(0);
    expect(removed.stderr).toMatch(/copy of keyslots\.json/);
    expect((await lango(REVEAL, { home })).code).toBe(4);
    const shown = await lango([...REVEAL, "--passphrase-file", second], { home, env: LOCKED });
    expect(shown.stdout.trim()).toBe(SECRET);
    expectOneFault(
      await lango([...removing, team!.id, "--passphrase-file", second], { home, env: LOCKED }),
      9,
      /the last one/,
    );
  });

  test("of a master key file: it is 0600, opens, and is never replaced", async () => {
    const home = await vaultHome();
    const words = ["security", "slots", "add", "--kind", "master-key-file"];
    expect((await lango(words, { home })).code).toBe(0);
    const file = join(home, "master.key");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const who = await langoJson(["whoami"], { home, env: LOCKED });
    expect(who.document.data.source).toBe(`master key file ${file}`);
    const signed = await lango(["audit", "verify", "--rows"], { home, env: LOCKED });
    expect(signed.code, signed.stderr).toBe(0);
    const before = snapshot(home);
    expectOneFault(await lango(words, { home }), 9, /master\.key already/);
    expect(readFileSync(file, "utf8")).toMatch(/^[0-9a-f]{64}\n$/);
    expect(snapshot(home)["master.key"]).toBe(before["master.key"]);
  });

  test("of a key in the environment: it comes by a descriptor and is shown nowhere", async () => {
    const home = await vaultHome();
    const key = "3f".repeat(16) + "a1".repeat(16);
    const file = fileWith(`${key}\n`);
    const script = `${LANGO_IN_SHELL} security slots add --kind env --key-fd 3 3<"$0"`;
    const env = { ...process.env, LANGO_HOME: home, LANGO_PASSPHRASE: PASSPHRASE };
    const { stdout, stderr } = await run("sh", ["-c", script, file], { env });
    expect(stdout + stderr).not.toContain(key);
    const opened = await lango(["audit", "verify"], {
      home,
      env: { ...LOCKED, LANGO_MASTER_KEY: key },
    });
    expect(opened.code, opened.stderr).toBe(0);
    expectOneFault(
      await lango(["security", "slots", "add", "--kind", "env"], { home }),
      2,
      /needs its key/,
    );
  });

  test("wants consent: what lies in the home opens no other door", async () => {
    const home = await vaultHome();
    writeFileSync(join(home, "passphrase"), PASSPHRASE, { mode: 0o600 });
    const words = ["security", "slots", "add", "--kind", "master-key-file"];
    expectOneFault(await lango(words, { home, env: LOCKED }), 5, /needs a person's consent/);
    expect(existsSync(join(home, "master.key"))).toBe(false);
    expect(await slotsOf(home)).toHaveLength(1);
  });

  test("with --dry-run, and of an unknown kind, changes nothing", async () => {
    const home = await vaultHome();
    const words = ["security", "slots", "add", "--kind"];
    expect((await lango([...words, "master-key-file", "--dry-run"], { home })).code).toBe(0);
    expect((await lango([...words, "tpm"], { home })).code).toBe(2);
    expect((await lango(words.slice(0, -1), { home })).code).toBe(2);
    expect(await slotsOf(home)).toHaveLength(1);
  });
});

describe("the keyring of the system", () => {
  test("opens the vault with a key of its own, and no more after clear", async () => {
    const home = await vaultHome();
    const session = await keyringSession();
    const stored = await lango(["security", "keyring", "store", ...(await fresh())], {
      home,
      env: { ...session, ...LOCKED },
    });
    expect(stored.code, stored.stderr).toBe(0);
    const opened = await langoJson(["whoami"], { home, env: { ...session, ...LOCKED } });
    expect(opened.document.data.source).toBe("keyring (master key)");
    const verified = await lango(["audit", "verify"], { home, env: { ...session, ...LOCKED } });
    expect(verified.code, verified.stderr).toBe(0);
    // Whoever is this user is not the person: no value, no second door.
    for (const words of [REVEAL, ["security", "slots", "add", "--kind", "master-key-file"]]) {
      expect((await lango(words, { home, env: { ...session, ...LOCKED } })).code).toBe(5);
    }
    const status = ["security", "keyring", "status"];
    const { document } = await langoJson(status, { home, env: { ...session, ...LOCKED } });
    expect(document.data).toMatchObject({ key: "present", passphrase: "absent", enabled: false });
    // Again: another key, and the old slot goes.
    const again = await langoJson(["security", "keyring", "store", ...(await fresh())], {
      home,
      env: { ...session, ...LOCKED },
    });
    expect(again.document.data.replaced).toHaveLength(1);
    expect(await slotsOf(home)).toHaveLength(2);
    const cleared = await lango(["security", "keyring", "clear", "--yes", ...(await fresh())], {
      home,
      env: { ...session, ...LOCKED },
    });
    expect(cleared.code, cleared.stderr).toBe(0);
    expect(await slotsOf(home)).toHaveLength(1);
    expect((await lango(["audit", "verify"], { home, env: { ...session, ...LOCKED } })).code).toBe(
      4,
    );
  });

  test("is a slot like any other for slots add, under the label that it is given", async () => {
    const home = await vaultHome();
    const env = { ...(await keyringSession()), ...LOCKED };
    const add = ["security", "slots", "add", "--kind", "keyring", "--label", "laptop"];
    const { document } = await langoJson([...add, ...(await fresh())], { home, env });
    expect(document.data.slot).toMatchObject({ kind: "keyring", label: "laptop" });
    expect(
      (await langoJson(["security", "status"], { home, env })).document.data.unlockSource,
    ).toBe("keyring (master key)");
    expect((await lango(["audit", "verify"], { home, env })).code).toBe(0);
  });

  test("holds the passphrase where that is wanted, and is asked only when the setting says so", async () => {
    const home = await vaultHome();
    const session = await keyringSession();
    const env = { ...session, ...LOCKED };
    const store = ["security", "keyring", "store", "--passphrase", ...(await fresh())];
    const kept = await lango([...store, "--no-input"], { home, env });
    expect(kept.code, kept.stderr).toBe(0);
    expect(kept.stdout + kept.stderr).not.toContain(PASSPHRASE);
    expect((await lango(["audit", "verify"], { home, env })).code).toBe(4);
    expect((await lango([...store, "--yes"], { home, env })).code).toBe(0);
    const { document } = await langoJson(["whoami"], { home, env });
    expect(document.data.source).toBe("keyring (passphrase)");
    expect((await lango(["audit", "verify"], { home, env })).code).toBe(0);
    // A new passphrase goes there too.
    const [old, next] = [fileWith(PASSPHRASE), fileWith("another long passphrase")];
    const files = ["--old-passphrase-file", old, "--new-passphrase-file", next];
    const kdf = ["--kdf", "pbkdf2-sha256:1000", "--accept-weak-kdf"];
    const change = await lango(["security", "migrate-passphrase", ...files, ...kdf], { home, env });
    expect(change.code, change.stderr).toBe(0);
    expect(change.stdout).toMatch(/in the keyring too/);
    expect((await lango(["audit", "verify"], { home, env })).code).toBe(0);
  });

  test("locked, or without a session, is passed over with the reason, and nothing is made anew", async () => {
    const home = await vaultHome();
    const keyringHome = dirname(home);
    const first = await keyringSession("pw", keyringHome);
    const store = ["security", "keyring", "store"];
    expect(
      (await lango([...store, ...(await fresh())], { home, env: { ...first, ...LOCKED } })).code,
    ).toBe(0);
    const locked = await keyringSession("another", keyringHome);
    const reasons: readonly (readonly [Record<string, string | undefined>, RegExp])[] = [
      [locked, /it is locked$/],
      [{ DBUS_SESSION_BUS_ADDRESS: undefined }, /cannot be reached \(/],
    ];
    for (const [session, reason] of reasons) {
      const env = { ...session, ...LOCKED };
      const { document } = await langoJson(["whoami"], { home, env });
      const line = document.data.sources.find(
        ({ source }: { source: string }) => source === "keyring (master key)",
      );
      expect(line).toMatchObject({ state: "skipped", reason: expect.stringMatching(reason) });
      expect((await lango(["audit", "verify"], { home, env })).code).toBe(4);
      expectOneFault(await lango([...store, ...(await fresh())], { home, env }), 7, reason);
      expect(await slotsOf(home)).toHaveLength(2);
      // The passphrase opens as before.
      expect((await lango(["audit", "verify"], { home, env: { ...session } })).code).toBe(0);
    }
    const alone = { ...LOCKED, DBUS_SESSION_BUS_ADDRESS: undefined };
    const ran = await lango([...store, ...(await fresh())], { home, env: alone });
    expect(ran.stderr).toMatch(/slots add --kind master-key-file/);
  });
});

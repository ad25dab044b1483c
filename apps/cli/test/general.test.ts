import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { userInfo } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { whyNoNewFile } from "../src/cli/write-probe.ts";
import {
  type Document,
  expectOneFault,
  folder,
  lango,
  langoJson,
  PASSPHRASE,
  vaultHome,
} from "./support.ts";

const finding = ({ data }: Document, check: string) =>
  data.checks.find((each: { check: string }) => each.check === check);

const LOCKED = { LANGO_PASSPHRASE: undefined };

describe("security status", () => {
  test("needs no passphrase", async () => {
    const home = await vaultHome();
    const { document, code } = await langoJson(["security", "status"], { home, env: LOCKED });
    expect(code).toBe(0);
    expect(document.data).toMatchObject({
      home,
      mode: "local",
      locked: true,
      keyCount: 1,
      secretCount: 1,
      degraded: false,
      companion: null,
      slots: [{ kind: "passphrase", kdf: "pbkdf2-sha256" }],
    });
    const ran = await lango(["security", "status"], { home });
    expect(ran.stdout).toMatch(/^mode +local$/m);
    expect(ran.stdout).toMatch(/^would unlock with +LANGO_PASSPHRASE$/m);
    expect(ran.stdout).toMatch(/^secrets +1$/m);
    expect(ran.stdout).toMatch(/^degraded +no$/m);
  });

  test("names the source that would open the vault, and why earlier ones would not", async () => {
    const home = await vaultHome();
    writeFileSync(join(home, "passphrase"), PASSPHRASE, { mode: 0o600 });
    for (const command of [["security", "status"], ["whoami"]]) {
      const { document } = await langoJson(command, { home, env: LOCKED });
      const { sources } = document.data;
      expect(sources.at(-1)).toMatchObject({ state: "would use" });
      expect(sources.at(-1).source).toContain("keyfile");
      expect(sources.some((each: { state: string }) => each.state === "skipped")).toBe(true);
    }
  });

  test("settings that are not in force are shown as such, also by whoami and doctor", async () => {
    const home = await vaultHome();
    const local = await lango(["security", "status"], { home });
    expect(local.stdout).toMatch(/^provider +local\ndatabase +not encrypted$/m);
    await lango(["settings", "set", "security.signer.provider", "@acme/keys"], { home });
    await lango(["settings", "set", "security.dbEncryption.enabled", "true"], { home });
    for (const command of [["security", "status"], ["whoami"]]) {
      const { document } = await langoJson(command, { home });
      expect(document.data).toMatchObject({
        provider: { name: "@acme/keys", installed: false, inForce: false },
        database: { encrypted: false, inForce: false },
      });
      const { stdout } = await lango(command, { home });
      expect(stdout).toMatch(
        /^provider +@acme\/keys \(not installed\), not in use for secrets: every data key is local$/m,
      );
      expect(stdout).toMatch(/^database +not encrypted \(security.dbEncryption.enabled is true,/m);
    }
    const { document } = await langoJson(["doctor"], { home });
    expect(finding(document, "encryption")).toMatchObject({
      ok: false,
      detail: "the database is in plaintext, but security.dbEncryption.enabled is true",
      fix: expect.stringContaining("lango security db-migrate"),
    });
    expect(finding(document, "provider")).toMatchObject({
      ok: false,
      detail: "@acme/keys is not installed",
      fix: expect.stringContaining("npm install --prefix"),
    });
  });
});

test.each([
  [
    { LANGO_MASTER_KEY: "a", AUTHSOME_MASTER_KEY: "b" },
    ["LANGO_MASTER_KEY", "AUTHSOME_MASTER_KEY"],
  ],
  [
    { LANGO_GATEWAY_TOKEN: "a", OPENCLAW_GATEWAY_TOKEN_FILE: "/dev/null" },
    ["LANGO_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_TOKEN_FILE"],
  ],
])("two names of one variable that differ are 78, naming both: %j", async (env, [one, two]) => {
  const ran = await lango(["settings", "list"], { home: folder(), env });
  expectOneFault(ran, 78, new RegExp(`${one} and ${two} are both set and differ`));
});

test("two names of one variable may agree, in hex and base64", async () => {
  const env = {
    LANGO_MASTER_KEY: "00".repeat(32),
    AUTHSOME_MASTER_KEY: Buffer.alloc(32).toString("base64"),
  };
  expect((await lango(["settings", "list"], { home: folder(), env })).code).toBe(0);
});

test("a missing name is told before a passphrase is asked for", async () => {
  const home = await vaultHome();
  for (const args of [
    ["get", "nope", "--reveal"],
    ["delete", "nope"],
  ]) {
    const ran = await lango(["security", "secrets", ...args], { home, env: LOCKED });
    expectOneFault(ran, 3, /There is no secret nope/);
  }
});

test("a locked vault: two short lines, the list of sources in JSON and whoami", async () => {
  const home = await vaultHome();
  const ran = await lango(["security", "secrets", "history", "api/key"], { home, env: LOCKED });
  expectOneFault(ran, 4, /The vault is locked and nothing gave its passphrase/);
  expect(ran.stderr).toContain("Set LANGO_PASSPHRASE, use --passphrase-fd N");
  expect(ran.stderr.length).toBeLessThan(300);
  const { document } = await langoJson(["keys", "public-key", "x"], { home, env: LOCKED });
  expect(document.error?.hint).toContain("keyring (passphrase): security.keyring.enabled is false");
  const whoami = await lango(["whoami", "--passphrase-file", "/nope"], { home });
  expect(whoami.stdout).toMatch(/^would unlock with +none$/m);
  expect(whoami.stdout).toContain("--passphrase-file /nope does not exist");
  const piped = await lango(["whoami"], { home, env: LOCKED });
  expect(piped.stdout).toMatch(/^would unlock with +stdin, if something is piped in$/m);
});

test("whoami names user, vault and source", async () => {
  const home = await vaultHome();
  const { document } = await langoJson(["whoami"], { home });
  expect(document.data).toMatchObject({
    user: userInfo().username,
    home,
    source: "LANGO_PASSPHRASE",
  });
  expect((await lango(["whoami"], { home, env: LOCKED })).stdout).toMatch(/^not LANGO_PASSPHRASE/m);
});

describe("audit", () => {
  test("verify checks everything with the key, the chain without", async () => {
    const home = await vaultHome();
    const full = await langoJson(["audit", "verify", "--rows"], { home });
    expect(full.document.data).toMatchObject({ checked: "full", ok: true, faults: [] });
    const links = await langoJson(["audit", "verify", "--links"], { home, env: LOCKED });
    expect(links.document.data).toMatchObject({ checked: "links", ok: true });
    expect((await lango(["audit", "verify", "--links"], { home, env: LOCKED })).stdout).toMatch(
      /MACs were not/,
    );
  });

  test("a log that was altered is 8, with its faults beside the error", async () => {
    const home = await vaultHome();
    // The driver that the program itself uses.
    const Database = createRequire(import.meta.url)("better-sqlite3-multiple-ciphers");
    const database = new Database(join(home, "lango.db"));
    database.prepare("UPDATE audit_log SET entry = replace(entry, 'api/key', 'api/kex')").run();
    database.close();
    const text = await lango(["audit", "verify", "--links"], { home, env: LOCKED });
    expect(text.code).toBe(8);
    expect(text.stderr).toMatch(/^lango: The audit log has \d+ faults?\n/);
    expect(text.stdout).toMatch(/^row \d+: /m);
    const { document, code } = await langoJson(["audit", "verify"], { home });
    expect(code).toBe(8);
    expect(document.error?.code).toBe("ERR_INTEGRITY");
    expect(document.data.faults.length).toBeGreaterThan(0);
  });

  test("tail shows the newest events without a key", async () => {
    const home = await vaultHome();
    const { document } = await langoJson(["audit", "tail", "-n", "2"], { home, env: LOCKED });
    expect(document.data.events).toHaveLength(2);
    const text = await lango(["audit", "tail"], { home, env: LOCKED });
    expect(text.stdout).toMatch(/^SEQ +TIME +WHO +ACTION +TARGET +OUTCOME\n/);
    expect(text.stdout).toContain("secret.set");
    expectOneFault(await lango(["audit", "tail", "-n", "0"], { home }), 2, /at least 1/);
  });
});

describe("settings", () => {
  test("set, get and list", async () => {
    const home = await vaultHome();
    const args = ["settings", "set", "security.keyring.enabled", "true"];
    expect((await lango([...args, "--dry-run"], { home })).stdout).toMatch(/^would set/);
    expect((await lango(["settings", "get", "security.keyring.enabled"], { home })).stdout).toBe(
      "false\n",
    );
    expect((await lango(args, { home })).stdout).toBe("set security.keyring.enabled\n");
    expect(
      (await langoJson(["settings", "get", "security.keyring"], { home })).document.data,
    ).toEqual({ key: "security.keyring", value: { enabled: true } });
    const { document } = await langoJson(["settings", "list"], { home });
    const setting = document.data.settings.find(
      (each: { path: string }) => each.path === "security.keyring.enabled",
    );
    expect(setting).toMatchObject({ value: true, isDefault: false, type: "boolean" });
    expect((await lango(["settings", "list"], { home })).stdout).toContain("audit.onFailure");
  });

  test("never shows a token", async () => {
    const home = await vaultHome();
    const token = "gateway-token-0123456789abcdef";
    const set = await langoJson(["settings", "set", "gateway.auth.token", token], { home });
    expect(set.code, set.stdout).toBe(0);
    const shown = [
      set.stdout,
      (await lango(["settings", "get", "gateway"], { home })).stdout,
      (await lango(["settings", "list"], { home })).stdout,
    ].join("");
    expect(shown).toContain("(hidden)");
    expect(shown).not.toContain(token);
  });

  test("schema is a JSON Schema", async () => {
    const schema = JSON.parse((await lango(["settings", "schema"])).stdout);
    expect(schema.properties.security.properties.signer).toBeDefined();
    expect((await langoJson(["settings", "schema"])).document.data).toEqual(schema);
  });
});

describe("provider", () => {
  test("list tells what is installed", async () => {
    const { document } = await langoJson(["security", "provider", "list"]);
    expect(document.data.providers[0]).toMatchObject({ name: "local", installed: true });
    expect(document.data.providers.map((each: { name: string }) => each.name)).toEqual([
      "local",
      "rpc",
      "aws-kms",
      "gcp-kms",
      "azure-kv",
      "pkcs11",
    ]);
    expect(document.data.providers[1]).toMatchObject({ installed: true, install: null });
  });

  test("check runs the conformance checks on local keys", async () => {
    const { document, code } = await langoJson(["security", "provider", "check", "local"]);
    expect(code).toBe(0);
    expect(document.data.ok).toBe(true);
    expect(document.data.checks.length).toBeGreaterThan(30);
    const text = await lango(["security", "provider", "check", "local:default"]);
    expect(text.stdout).toMatch(/^CHECK +OUTCOME +MS +REASON\n/);
  });

  test("check of one that is not installed is 69 with the command, in a home with a space too", async () => {
    const home = join(folder(), "a home");
    const ran = await lango(["security", "provider", "check", "@acme/keys:key"], { home });
    expectOneFault(ran, 69, /@acme\/keys is not installed/);
    expect(ran.stderr).toContain(`npm install --prefix '${home}/providers' @acme/keys`);
    expectOneFault(
      await lango(["security", "provider", "check", "../x"], { home }),
      2,
      /ill-formed/,
    );
  });
});

describe("doctor", () => {
  test("finds nothing wrong with a good home", async () => {
    const home = join(folder(), "new");
    await lango(["onboard"], { home });
    const { document, code } = await langoJson(["doctor"], { home });
    expect(document.data.checks.filter((each: { ok: boolean }) => !each.ok)).toEqual([]);
    expect(code).toBe(0);
    const text = await lango(["doctor"], { home });
    expect(text.stdout).toMatch(/^ok +node +\d+/m);
    expect(text.stdout).toMatch(/^ok +core dumps +/m);
  });

  test("does not wait for a named pipe in the place of keyslots.json", async () => {
    const home = await vaultHome();
    const path = join(home, "keyslots.json");
    rmSync(path);
    execFileSync("mkfifo", ["-m", "600", path]);
    const { document, code } = await langoJson(["doctor"], { home });
    expect(code).toBe(10);
    expect(document.data.checks).toContainEqual(
      expect.objectContaining({
        check: "vault",
        ok: false,
        detail: `${path} is no regular file`,
      }),
    );
  });

  test("is 10 and says what to do", async () => {
    const home = await vaultHome();
    const weak = await langoJson(["doctor"], { home });
    expect(weak.code).toBe(10);
    const keyslots = weak.document.data.checks.find(
      (each: { check: string }) => each.check === "keyslots",
    );
    expect(keyslots).toMatchObject({ ok: false, fix: 'Run "lango security migrate-passphrase"' });
    const none = await lango(["doctor"], { home: join(folder(), "none") });
    expect(none.code).toBe(10);
    expect(none.stdout).toContain('Run "lango onboard"');
    expect(readFileSync(join(home, "keyslots.json"), "utf8")).not.toBe("");
  });

  test("finds damage that only a comparison shows", async () => {
    const home = await vaultHome();
    const sqlite = createRequire(import.meta.url)("better-sqlite3-multiple-ciphers");
    const run = (sql: string) => {
      const database = new sqlite(join(home, "lango.db"));
      database.exec(sql);
      database.close();
    };
    const sound = await langoJson(["doctor"], { home });
    expect(finding(sound.document, "database")).toMatchObject({ ok: true });
    expect(finding(sound.document, "rows")).toMatchObject({
      ok: true,
      detail: expect.stringMatching(/audit log says/),
    });
    run("update counters set secrets = 5; update secrets set updated_at = updated_at + 1");
    const altered = await langoJson(["doctor"], { home });
    expect(finding(altered.document, "database").detail).toBe(
      "the counter of secrets says 5, there are 1",
    );
    expect(finding(altered.document, "rows")).toMatchObject({ ok: false });
    const locked = await langoJson(["doctor"], { home, env: LOCKED });
    expect(finding(locked.document, "rows").detail).toBe("not checked: needs the passphrase");
    run("drop table secret_versions");
    const dropped = await langoJson(["doctor"], { home });
    expect(finding(dropped.document, "database").detail).toBe(
      "table secret_versions is missing; index secret_versions_data_key is missing",
    );
  });

  test("what keeps several checks from looking is said once", async () => {
    const home = await vaultHome();
    rmSync(join(home, "lango.db"));
    mkdirSync(join(home, "lango.db"));
    const { document, code } = await langoJson(["doctor"], { home });
    expect(code).toBe(10);
    const said = document.data.checks.filter(({ detail }: { detail: string }) =>
      /no.* regular file/.test(detail),
    );
    expect(said).toMatchObject([{ check: "vault", ok: false }]);
    expect(finding(document, "rows")).toEqual({
      check: "rows",
      ok: null,
      detail: "not checked, for the same reason as vault",
    });
  });

  test("finds a home that takes no writes", async () => {
    const home = await vaultHome();
    chmodSync(home, 0o500);
    const { document, code } = await langoJson(["doctor"], { home });
    chmodSync(home, 0o700);
    expect(code).toBe(10);
    expect(finding(document, "writing")).toMatchObject({
      ok: false,
      fix: `Run: chmod 700 ${home}`,
    });
    const sound = await langoJson(["doctor"], { home });
    expect(finding(sound.document, "writing")).toMatchObject({ ok: true });
    // Takes no file from anybody, root included.
    expect(whyNoNewFile("/proc/self")).toBeDefined();
    expect(readdirSync(home).filter((name) => name.startsWith(".doctor"))).toEqual([]);
  });

  test("--fix takes files away from others, and leaves links", async () => {
    const home = await vaultHome();
    chmodSync(home, 0o755);
    chmodSync(join(home, "lango.db"), 0o644);
    const outside = join(folder(), "file");
    writeFileSync(outside, "", { mode: 0o644 });
    chmodSync(outside, 0o644);
    symlinkSync(outside, join(home, "link"));
    const { document } = await langoJson(["doctor", "--fix"], { home });
    expect(document.data.mended).toEqual([
      `${home} now has mode 0700`,
      `${join(home, "lango.db")} now has mode 0600`,
    ]);
    expect(statSync(home).mode & 0o777).toBe(0o700);
    expect(statSync(join(home, "lango.db")).mode & 0o777).toBe(0o600);
    expect(statSync(outside).mode & 0o777).toBe(0o644);
  });

  test("a file from earlier: named, left by --fix, accepted only with a yes", async () => {
    const home = await vaultHome();
    const old = readFileSync(join(home, "keyslots.json"));
    const next = "another long passphrase";
    const files = { old: join(folder(), "old"), next: join(folder(), "next") };
    writeFileSync(files.old, PASSPHRASE, { mode: 0o600 });
    writeFileSync(files.next, next, { mode: 0o600 });
    const changed = await lango(
      [
        ...["security", "migrate-passphrase", "--kdf", "pbkdf2-sha256"],
        ...["--old-passphrase-file", files.old, "--new-passphrase-file", files.next],
      ],
      { home },
    );
    expect(changed.stderr + changed.code).toMatch(/0$/);
    writeFileSync(join(home, "keyslots.json"), old);
    expectOneFault(
      await lango(["security", "secrets", "set", "x", "--no-input"], { home, input: "v" }),
      8,
      /older one/,
    );
    const found = await lango(["doctor"], { home });
    expect(found.stdout).toContain("lango doctor --fix --accept-rollback");
    const left = await langoJson(["doctor", "--fix"], { home });
    expect(left.document.data.mended).toEqual([
      "left the file that is from earlier: that is for --accept-rollback",
    ]);
    expectOneFault(await lango(["doctor", "--accept-rollback"], { home }), 2, /--fix/);
    expectOneFault(
      await lango(["doctor", "--fix", "--accept-rollback", "--no-input"], { home }),
      2,
      /needs a yes/,
    );
    const done = await langoJson(["doctor", "--fix", "--accept-rollback", "--yes"], { home });
    expect(done.document.data.mended[0]).toBe(
      "accepted the older keyslots.json; both are of generation 3 now",
    );
    const set = await lango(["security", "secrets", "set", "x"], { home, input: "v" });
    expect(set.code).toBe(0);
  });
});

describe("anchors of the audit log", () => {
  test("made at the end of each command, shown by verify and status", async () => {
    const home = await vaultHome();
    await lango(["keys", "create", "log", "--type", "signing", "--algorithm", "ed25519"], { home });
    const off = await langoJson(["security", "status"], { home });
    expect(off.document.data.audit).toEqual({ anchor: null });
    await lango(["settings", "set", "audit.anchor", "local:log"], { home });
    const on = await langoJson(["security", "status"], { home });
    expect(on.document.data.audit).toEqual({ anchor: "local:log" });
    await lango(["security", "secrets", "set", "x"], { home, input: "v" });
    const report = await lango(["audit", "verify"], { home });
    expect(report.stdout).toContain("1 anchor, 1 of them found outside the database");
    expect(report.stdout).toContain("checked with the key of the registry");
    expect(report.stdout).toContain("proves nothing against a holder of the vault");
    const pem = join(folder(), "key.pem");
    writeFileSync(pem, (await lango(["keys", "public-key", "local:log"], { home })).stdout);
    const noFile = ["audit", "verify", "--links", "--anchor-key", `${pem}.not`];
    expectOneFault(await lango(noFile, { home }), 3, /Cannot read .*\.not: there is no such file$/);
    const given = await langoJson(["audit", "verify", "--links", "--anchor-key", pem], { home });
    expect(given.document.data.anchors.last).toMatchObject({ key: "given" });
    expect(given.document.data.anchors.checkedWith.given).toBeGreaterThan(1);
    writeFileSync(pem, "no key");
    expectOneFault(
      await lango(["audit", "verify", "--anchor-key", pem], { home }),
      2,
      /no public key/,
    );
  });
});

test.each([
  ["[]", /the whole/],
  ['{"nope":1}', /nope: there is no such setting/],
  ['{"audit":{"anchor":5}}', /audit\.anchor: /],
  ['{"security":{"signer":{"provider":{"a":[1]}},"kms":{"keyId":[2]}}}', /signer\.provider: /],
  [
    '{"security":{"signer":{"provider":"aws-kms"},"kms":{"region":{"a":1},"pkcs11":7}}}',
    /kms\.region: /,
  ],
])("a configuration of %s is told: status warns, whoami fails", async (content, words) => {
  const home = await vaultHome();
  writeFileSync(join(home, "config.json"), content, { mode: 0o600 });
  const status = await lango(["security", "status"], { home });
  expect(status.code, status.stderr).toBe(0);
  expect(status.stderr).toMatch(/^warning: .*config\.json: .*\n$/);
  expect(status.stderr).toMatch(words);
  expectOneFault(await lango(["whoami"], { home }), 78, words);
});

import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  expectOneFault,
  fileWith,
  folder,
  lango,
  langoJson,
  PASSPHRASE,
  type RunOptions,
  SECRET,
  vaultHome,
} from "./support.ts";

const newKey = (): string => randomBytes(32).toString("hex");
const NO_PASSPHRASE = { LANGO_PASSPHRASE: undefined };
const SECRETS = ["security", "secrets"];

const withKeys = (home: string, env: Readonly<Record<string, string>>): RunOptions => ({
  home,
  env: { ...NO_PASSPHRASE, ...env },
});

/** A vault that the key alone opens, with the secret `a`. */
async function vaultOf(key: string): Promise<string> {
  const home = join(folder(), "home");
  const options = withKeys(home, { ENCRYPTION_KEY: key });
  const made = await langoJson(["onboard"], options);
  expect(made.code, made.stderr).toBe(0);
  expect(made.document.data.opening).toEqual(["ENCRYPTION_KEY"]);
  expect((await lango([...SECRETS, "set", "a"], { ...options, input: "one" })).code).toBe(0);
  return home;
}

const reveal = (name: string, options: RunOptions) =>
  lango([...SECRETS, "get", name, "--reveal"], options);

test("the whole walk of a rotation by ENCRYPTION_KEY_V0", async () => {
  const [first, second] = [newKey(), newKey()];
  const home = await vaultOf(first);
  const onlyOld = withKeys(home, { ENCRYPTION_KEY: first });
  const onlyNew = withKeys(home, { ENCRYPTION_KEY: second, ENCRYPTION_KEY_VERSION: "1" });
  const both = withKeys(home, {
    ENCRYPTION_KEY_V0: first,
    ENCRYPTION_KEY: second,
    ENCRYPTION_KEY_VERSION: "1",
  });
  // The new key is worth nothing before the old one vouched for it.
  expectOneFault(await reveal("a", onlyNew), 4, /does not open the vault \(from ENCRYPTION_KEY\)/);
  const read = await lango([...SECRETS, "get", "a", "--reveal", "-v"], both);
  expect(read.stdout).toBe("one");
  expect(read.stderr).toMatch(/^unlocked by ENCRYPTION_KEY_V0$/m);
  expect(read.stderr).toMatch(/^ {2}not by ENCRYPTION_KEY: it opens no slot yet$/m);
  expect((await lango([...SECRETS, "set", "b"], { ...both, input: "two" })).code).toBe(0);
  // Both keys open it now, and read what either wrote.
  for (const options of [onlyOld, onlyNew]) {
    expect((await reveal("a", options)).stdout).toBe("one");
    expect((await reveal("b", options)).stdout).toBe("two");
  }
  const rotated = await langoJson(["security", "rotate", "--env-keys", "--yes"], both);
  expect(rotated.code, rotated.stderr).toBe(0);
  const { removedSlots, mayGo, next } = rotated.document.data.envKeys;
  expect(removedSlots).toHaveLength(1);
  expect(mayGo).toEqual(["ENCRYPTION_KEY_V0"]);
  expect(next).toEqual(["ENCRYPTION_KEY_V0 may go: unset it"]);
  expectOneFault(await reveal("a", onlyOld), 4, /\(from ENCRYPTION_KEY\)/);
  for (const name of ["a", "b"]) {
    expect((await reveal(name, onlyNew)).stdout).toBe(name === "a" ? "one" : "two");
  }
  const { document } = await langoJson(["security", "slots", "list"], onlyNew);
  expect(document.data.slots).toEqual([
    expect.objectContaining({ kind: "env", label: "ENCRYPTION_KEY v1" }),
  ]);
  const verified = await lango(["audit", "verify", "--rows"], onlyNew);
  expect(verified.code, verified.stdout).toBe(0);
});

test("the walk by ENCRYPTION_KEY_NEXT", async () => {
  const [first, second] = [newKey(), newKey()];
  const home = await vaultOf(first);
  const both = withKeys(home, { ENCRYPTION_KEY: first, ENCRYPTION_KEY_NEXT: second });
  const rotated = await lango(["security", "rotate", "--env-keys", "--yes"], both);
  expect(rotated.code, rotated.stderr).toBe(0);
  expect(rotated.stdout).toMatch(
    /^Set ENCRYPTION_KEY to what ENCRYPTION_KEY_NEXT holds, and unset ENCRYPTION_KEY_NEXT/m,
  );
  expect((await reveal("a", withKeys(home, { ENCRYPTION_KEY: second }))).stdout).toBe("one");
  expect((await reveal("a", withKeys(home, { ENCRYPTION_KEY: first }))).code).toBe(4);
});

test("rotate --env-keys without ENCRYPTION_KEY, and with --dry-run, changes nothing", async () => {
  const key = newKey();
  const home = await vaultOf(key);
  const words = ["security", "rotate", "--env-keys"];
  const options = withKeys(home, { ENCRYPTION_KEY: key });
  const dry = await langoJson([...words, "--dry-run"], options);
  expect(dry.code, dry.stderr).toBe(0);
  expect(dry.document.data.dryRun).toBe(true);
  expectOneFault(
    await lango([...words, "--yes"], withKeys(home, {})),
    78,
    /^lango: --env-keys: ENCRYPTION_KEY is not set$/,
  );
  expect(
    (await langoJson(["security", "slots", "list"], options)).document.data.slots,
  ).toHaveLength(1);
});

test("what everybody of this user could give lets in no new key, but an older ENCRYPTION_KEY does", async () => {
  const [first, second] = [newKey(), newKey()];
  const rotate = ["security", "rotate", "--env-keys", "--yes"];
  const home = await vaultHome();
  // The passphrase lies beside the vault: it is nobody's consent.
  writeFileSync(join(home, "passphrase"), PASSPHRASE, { mode: 0o600 });
  const bare = withKeys(home, { ENCRYPTION_KEY: first });
  expectOneFault(await lango(rotate, bare), 5, /keyfile .* can be read by every process/);
  const { document } = await langoJson(["security", "slots", "list"], bare);
  expect(document.data.slots).toHaveLength(1);
  expect((await lango(rotate, { home, env: { ENCRYPTION_KEY: first } })).code).toBe(0);

  // Keys in files alone: the older one vouches for the newer.
  const files = withKeys(home, {
    ENCRYPTION_KEY_V0_FILE: fileWith(`${first}\n`),
    ENCRYPTION_KEY_FILE: fileWith(`${second}\n`),
    ENCRYPTION_KEY_VERSION: "1",
  });
  expectOneFault(await reveal("api/key", files), 5, /ENCRYPTION_KEY.*can be read by every process/);
  const rotated = await lango(rotate, files);
  expect(rotated.code, rotated.stderr).toBe(0);
  const shown = await reveal("api/key", withKeys(home, { ENCRYPTION_KEY: second }));
  expect(shown.stdout, shown.stderr).toBe(SECRET);
  expect((await reveal("api/key", withKeys(home, { ENCRYPTION_KEY: first }))).code).toBe(4);
});

test("a flag excludes keys of the environment that are faulty", async () => {
  const home = await vaultOf(newKey());
  const faulty = { ...withKeys(home, { ENCRYPTION_KEY: "no key" }), input: "x" };
  expectOneFault(await reveal("a", faulty), 78, /ENCRYPTION_KEY is not 64/);
  for (const flag of [
    ["--passphrase-fd", "0"],
    ["--passphrase-file", fileWith("x")],
    ["--passphrase-stdin"],
    ["--recovery-words-fd", "0"],
    ["--unlock-with", "passphrase"],
  ]) {
    expect((await lango(["audit", "verify", ...flag], faulty)).code, flag[0]).toBe(4);
  }
});

describe("onboard", () => {
  test("with a passphrase and keys: each opens the vault", async () => {
    const home = join(folder(), "home");
    const [key, master] = [newKey(), newKey()];
    const made = await langoJson(["onboard", "--kdf", "pbkdf2-sha256:1000", "--accept-weak-kdf"], {
      home,
      env: { ENCRYPTION_KEY_FILE: fileWith(`${key}\n`), LANGO_MASTER_KEY: master },
    });
    expect(made.document.data.opening).toEqual([
      "passphrase",
      "LANGO_MASTER_KEY",
      "ENCRYPTION_KEY_FILE",
    ]);
    for (const env of [
      {},
      { LANGO_PASSPHRASE: undefined, LANGO_MASTER_KEY: master },
      { LANGO_PASSPHRASE: undefined, ENCRYPTION_KEY: key },
    ]) {
      expect((await lango(["audit", "verify"], { home, env })).code).toBe(0);
    }
  });

  test("with a bad key makes nothing", async () => {
    const home = join(folder(), "home");
    const env = { ENCRYPTION_KEY: "0123456789abcdef0123456789abcdef" };
    const ran = await lango(["onboard"], { home, env });
    expectOneFault(ran, 78, /^lango: ENCRYPTION_KEY is not .*32 characters are 32 bytes only to/);
    expect((await lango(["audit", "verify"], { home })).code).toBe(4);
  });
});

describe("faults of the variables that open the vault", () => {
  test("are named all at once, before any is tried; others are left to the doctor", async () => {
    const home = await vaultOf(newKey());
    const env = {
      ENCRYPTION_KEY: "short",
      ENCRYPTION_KEY_VERSION: "one",
      ENCRYPTION_KEY_V0: "00".repeat(32),
      ADMIN_TOKEN: "short",
    };
    const ran = await langoJson(["audit", "verify"], withKeys(home, env));
    expect(ran.code).toBe(78);
    const { code, message, faults } = ran.document.error as never as {
      code: string;
      message: string;
      faults: { variables: string[]; problem: string }[];
    };
    expect(code).toBe("ERR_CONFIG");
    expect(message).toBe("3 faults in the keys and tokens that are set");
    expect(faults.map(({ variables }) => variables[0])).toEqual([
      "ENCRYPTION_KEY_VERSION",
      "ENCRYPTION_KEY",
      "ENCRYPTION_KEY_V0",
    ]);
    const text = await lango(["audit", "verify"], withKeys(home, env));
    expect(text.stderr.split("\n").filter((line) => line.startsWith("  "))).toHaveLength(3);
    const checked = await langoJson(["doctor", "--check"], withKeys(home, env));
    expect(checked.code).toBe(78);
    expect(checked.stdout).toContain("ADMIN_TOKEN has 5 characters, fewer than 24");
  });

  test("do not matter where the credential comes from elsewhere", async () => {
    const key = newKey();
    const home = join(folder(), "home");
    const onboard = ["onboard", "--kdf", "pbkdf2-sha256:1000", "--accept-weak-kdf"];
    expect((await lango(onboard, { home, env: { ENCRYPTION_KEY: key } })).code).toBe(0);
    const passphrase = fileWith("correct horse battery staple");
    const words = ["audit", "verify", "--passphrase-file", passphrase];
    expect((await lango(words, withKeys(home, { ENCRYPTION_KEY: "short" }))).code).toBe(0);
    // A vault without a slot of it does not care what other programs call ENCRYPTION_KEY.
    const plain = join(folder(), "plain");
    expect((await lango(onboard, { home: plain })).code).toBe(0);
    const env = { ENCRYPTION_KEY: "of another program" };
    expect((await lango(["audit", "verify"], { home: plain, env })).code).toBe(0);
  });
});

test("no version of it reaches a command that lango runs, unless it is asked for", async () => {
  const key = newKey();
  const home = await vaultOf(key);
  const options = withKeys(home, { ENCRYPTION_KEY: key, ENCRYPTION_KEY_VERSION: "0" });
  const ran = await lango(["run", "--", "env"], options);
  expect(ran.code, ran.stderr).toBe(0);
  expect(ran.stdout).not.toMatch(/ENCRYPTION_KEY/);
  const asked = [
    "run",
    "--env",
    "ENCRYPTION_KEY=a",
    "--",
    "sh",
    "-c",
    'test "$ENCRYPTION_KEY" = one',
  ];
  expect((await lango(asked, options)).code).toBe(0);
});

test("whoami and status name it, and what was passed over", async () => {
  const key = newKey();
  const home = await vaultOf(key);
  for (const words of [["whoami"], ["security", "status"]]) {
    const { document } = await langoJson(words, withKeys(home, { ENCRYPTION_KEY: key }));
    expect(document.data.sources.slice(-2)).toEqual([
      { source: "LANGO_MASTER_KEY", state: "skipped", reason: "the vault has no env slot" },
      { source: "ENCRYPTION_KEY", state: "would use" },
    ]);
    const none = await langoJson(words, withKeys(home, {}));
    expect(none.document.data.sources).toContainEqual({
      source: "ENCRYPTION_KEY",
      state: "skipped",
      reason: "not set",
    });
  }
});

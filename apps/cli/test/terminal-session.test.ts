import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  environment,
  folder,
  LANGO,
  LANGO_IN_SHELL,
  lango,
  PASSPHRASE,
  SECRET,
  snapshot,
  vaultHome,
} from "./support.ts";
import { Terminal } from "./terminal.ts";

const CTRL_C = "\u0003";
const ENTER_NEW = "Enter encryption passphrase (min 8 characters): ";
const CONFIRM_NEW = "Confirm passphrase: ";
const WEAK = ["--kdf", "pbkdf2-sha256:1000", "--accept-weak-kdf"];

/** lango on a terminal, with nothing in the environment that opens a vault. */
const session = (home: string, ...args: string[]): Terminal =>
  new Terminal(
    process.execPath,
    [...LANGO, ...args],
    environment(home, { LANGO_PASSPHRASE: undefined }),
  );

/** Sees a prompt, then answers it. */
async function reply(terminal: Terminal, prompt: string, text: string): Promise<void> {
  await terminal.see(prompt);
  terminal.type(text);
}

/** How many failed unlocks the log has, after another unlock. */
async function failures(home: string): Promise<number> {
  const args = ["audit", "export", "--macs"];
  const { stdout, stderr, code } = await lango(args, { home });
  expect(code, stderr).toBe(0);
  const rows = stdout.split("\n").filter((line) => line.includes('"vault.unlock"'));
  return rows.filter((line) => line.includes("ERR_WRONG_PASSPHRASE")).length;
}

describe("onboard on a terminal", () => {
  test("asks twice with exactly these words, echoing stars", async () => {
    const home = join(folder(), "new");
    const terminal = session(home, "onboard", ...WEAK);
    await reply(terminal, ENTER_NEW, `${PASSPHRASE}\r`);
    await reply(terminal, CONFIRM_NEW, `${PASSPHRASE}\r`);
    expect(await terminal.end()).toMatchObject({ exitCode: 0 });
    const lines = terminal.output.split("\r\n");
    const stars = "*".repeat(PASSPHRASE.length);
    expect(lines[0]).toBe(ENTER_NEW + stars);
    expect(lines[1]).toBe(CONFIRM_NEW + stars);
    expect(terminal.output).toContain("Whoever loses this passphrase loses the data");
    const order = ["Created a vault in", "Whoever loses", "Next: "].map((text) =>
      terminal.output.indexOf(text),
    );
    expect(order[0]).toBeGreaterThan(0);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(terminal.output).not.toContain(PASSPHRASE);
  });

  test("makes nothing of two that differ", async () => {
    const home = folder();
    const terminal = session(home, "onboard", ...WEAK);
    await reply(terminal, ENTER_NEW, "short\r");
    await terminal.see("it needs at least 8");
    for (let attempt = 2; attempt <= 3; attempt++) {
      await reply(terminal, ENTER_NEW, `${PASSPHRASE}\r`);
      await reply(terminal, CONFIRM_NEW, "something else\r");
    }
    expect(await terminal.end()).toMatchObject({ exitCode: 2 });
    expect(terminal.output).toContain(" The two passphrases differ");
    expect(snapshot(home)).toEqual({});
  });

  test.each([
    ["the first question", 0],
    ["the second question", 1],
  ])("Ctrl-C at %s is 130 and makes nothing", async (_, answered) => {
    const home = folder();
    const terminal = session(home, "onboard", ...WEAK);
    if (answered === 1) {
      await reply(terminal, ENTER_NEW, `${PASSPHRASE}\r`);
    }
    await reply(terminal, answered === 1 ? CONFIRM_NEW : ENTER_NEW, CTRL_C);
    expect(await terminal.end()).toMatchObject({ exitCode: 130 });
    expect(terminal.output).not.toContain("lango:");
    expect(snapshot(home)).toEqual({});
  });

  test("asks nothing with --no-input", async () => {
    const terminal = session(folder(), "onboard", "--no-input");
    expect(await terminal.end()).toMatchObject({ exitCode: 4 });
    expect(terminal.output).not.toContain("Enter");
  });
});

describe("a command without a vault on a terminal", () => {
  test("offers onboard, and goes on after a yes", async () => {
    const home = join(folder(), "new");
    writeConfig(home);
    const terminal = session(home, "security", "secrets", "set", "first");
    await reply(terminal, `There is no vault in ${home}. Create it? [y/N] `, "y\r");
    await reply(terminal, ENTER_NEW, `${PASSPHRASE}\r`);
    await reply(terminal, CONFIRM_NEW, `${PASSPHRASE}\r`);
    await terminal.see("Created a vault in");
    await reply(terminal, "Enter value of first: ", `${SECRET}\r`);
    await reply(terminal, "Confirm value: ", `${SECRET}\r`);
    expect(await terminal.end()).toMatchObject({ exitCode: 0 });
    expect(terminal.output).toContain("stored first, version 1");
    // The passphrase of the new vault is not asked for a third time.
    expect(terminal.output.split("passphrase").length).toBeLessThan(7);
    expect(terminal.output).not.toContain(SECRET);
  });

  test("is 4 after a no, also with --yes, which is not meant for this", async () => {
    for (const flags of [[], ["--yes"]]) {
      const home = folder();
      const terminal = session(home, "security", "secrets", "list", ...flags);
      await reply(terminal, "Create it? [y/N] ", "n\r");
      expect(await terminal.end()).toMatchObject({ exitCode: 4 });
      expect(snapshot(home)).toEqual({});
    }
  });
});

describe("secrets on a terminal", () => {
  test("set asks twice, hidden, and refuses two that differ", async () => {
    const home = await vaultHome();
    const good = session(home, "security", "secrets", "set", "x");
    await reply(good, "passphrase: ", `${PASSPHRASE}\r`);
    await reply(good, "Enter value of x: ", `${SECRET}\r`);
    await reply(good, "Confirm value: ", `${SECRET}\r`);
    expect(await good.end()).toMatchObject({ exitCode: 0 });
    expect(good.output).toContain("*".repeat(SECRET.length));
    expect(good.output).not.toContain(SECRET);

    const bad = session(home, "security", "secrets", "set", "x");
    await reply(bad, "passphrase: ", `${PASSPHRASE}\r`);
    await reply(bad, "Enter value of x: ", "one\r");
    await reply(bad, "Confirm value: ", "two\r");
    expect(await bad.end()).toMatchObject({ exitCode: 2 });
    expect(bad.output).toContain("The two entries differ");

    const pasted = session(home, "security", "secrets", "set", "x");
    await reply(pasted, "passphrase: ", `${PASSPHRASE}\r`);
    await reply(pasted, "Enter value of x: ", "one\rtwo\rthree\r");
    expect(await pasted.end()).toMatchObject({ exitCode: 2 });
    expect(pasted.output).toContain("The value has several lines: use --from-file or pipe it in");
  });

  const AGAIN = "Wrong passphrase, try again: ";

  /** Answers the question that comes for the nth time. */
  async function replyTo(terminal: Terminal, question: string, nth: number, text: string) {
    const asked = () => terminal.output.split(question).length - 1;
    await expect.poll(asked, { timeout: 10_000 }).toBe(nth);
    terminal.type(text);
  }

  test("a passphrase may be typed three times; then it is 4, one line and three rows", async () => {
    const home = await vaultHome();
    const terminal = session(home, "security", "secrets", "history", "api/key");
    await reply(terminal, "Enter encryption passphrase: ", "a wrong passphrase\r");
    await replyTo(terminal, AGAIN, 1, "a wrong passphrase\r");
    await replyTo(terminal, AGAIN, 2, "a wrong passphrase\r");
    expect(await terminal.end()).toMatchObject({ exitCode: 4 });
    expect(terminal.output).toContain(" The passphrase does not open the vault");
    expect(terminal.output).not.toContain("a wrong passphrase");
    expect(terminal.output.split(AGAIN)).toHaveLength(3);
    expect(await failures(home)).toBe(3);
  });

  test("the second passphrase does the work, and the first is in the log", async () => {
    const home = await vaultHome();
    const terminal = session(home, "security", "secrets", "history", "api/key");
    await reply(terminal, "Enter encryption passphrase: ", "a wrong passphrase\r");
    await replyTo(terminal, AGAIN, 1, `${PASSPHRASE}\r`);
    expect(await terminal.end()).toMatchObject({ exitCode: 0 });
    expect(await failures(home)).toBe(1);
  });

  test("whoever gives up at the second question gets the error of the first", async () => {
    const home = await vaultHome();
    const terminal = session(home, "security", "secrets", "history", "api/key");
    await reply(terminal, "Enter encryption passphrase: ", "a wrong passphrase\r");
    await replyTo(terminal, AGAIN, 1, "\u0004");
    expect(await terminal.end()).toMatchObject({ exitCode: 4 });
    expect(terminal.output).toContain(" The passphrase does not open the vault");
    const interrupted = session(home, "security", "secrets", "history", "api/key");
    await reply(interrupted, "Enter encryption passphrase: ", "a wrong passphrase\r");
    await replyTo(interrupted, AGAIN, 1, CTRL_C);
    expect(await interrupted.end()).toMatchObject({ exitCode: 130 });
    expect(await failures(home)).toBe(2);
  });

  test("what was not typed is tried once, also at a terminal", async () => {
    const home = await vaultHome();
    const env = environment(home, { LANGO_PASSPHRASE: "a wrong passphrase" });
    const words = [...LANGO, "security", "secrets", "history", "api/key"];
    const terminal = new Terminal(process.execPath, words, env);
    expect(await terminal.end()).toMatchObject({ exitCode: 4 });
    expect(terminal.output).not.toContain(AGAIN);
    expect(await failures(home)).toBe(1);
  });

  test("migrate-passphrase goes on with the old passphrase that was right", async () => {
    const home = await vaultHome();
    const terminal = session(home, "security", "migrate-passphrase", ...WEAK);
    await reply(terminal, "Enter current encryption passphrase: ", "a wrong passphrase\r");
    await replyTo(terminal, AGAIN, 1, `${PASSPHRASE}\r`);
    await reply(terminal, "Enter new encryption passphrase", "a new one here\r");
    await reply(terminal, "Confirm new passphrase: ", "a new one here\r");
    expect(await terminal.end()).toMatchObject({ exitCode: 0 });
    const env = { LANGO_PASSPHRASE: "a new one here" };
    expect((await lango(["audit", "verify", "--rows"], { home, env })).code).toBe(0);
  });

  test("--reveal asks for the passphrase although a keyfile would open the vault", async () => {
    const home = await vaultHome();
    writeFileSync(join(home, "passphrase"), PASSPHRASE, { mode: 0o600 });
    const terminal = session(home, "security", "secrets", "get", "api/key", "--reveal");
    await reply(terminal, "passphrase: ", `${PASSPHRASE}\r`);
    expect(await terminal.end()).toMatchObject({ exitCode: 0 });
    // On a terminal a line break follows, so that the prompt stands on its own line.
    expect(terminal.output).toContain(`\r\n${SECRET}\r\n`);
    // What shows no value asks nothing.
    const other = session(home, "security", "secrets", "history", "api/key");
    expect(await other.end()).toMatchObject({ exitCode: 0 });
    expect(other.output).not.toContain("passphrase: ");
  });

  test("delete asks", async () => {
    const home = await vaultHome();
    writeFileSync(join(home, "passphrase"), PASSPHRASE, { mode: 0o600 });
    const question = "Delete api/key and every version of it? [y/N] ";
    const no = session(home, "security", "secrets", "delete", "api/key");
    await reply(no, question, "\r");
    expect(await no.end()).toMatchObject({ exitCode: 5 });
    const interrupted = session(home, "security", "secrets", "delete", "api/key");
    await reply(interrupted, question, CTRL_C);
    expect(await interrupted.end()).toMatchObject({ exitCode: 130 });
    const yes = session(home, "security", "secrets", "delete", "api/key");
    await reply(yes, question, "yes\r");
    expect(await yes.end()).toMatchObject({ exitCode: 0 });
    expect(yes.output).toContain("deleted api/key");
  });
});

describe("migrate-passphrase on a terminal", () => {
  test("asks the old one and twice the new one", async () => {
    const home = await vaultHome();
    const terminal = session(home, "security", "migrate-passphrase", "--kdf", "pbkdf2-sha256");
    await reply(terminal, "Enter current encryption passphrase: ", `${PASSPHRASE}\r`);
    await reply(
      terminal,
      "Enter new encryption passphrase (min 8 characters): ",
      "a new one here\r",
    );
    await reply(terminal, "Confirm new passphrase: ", "a new one here\r");
    expect(await terminal.end()).toMatchObject({ exitCode: 0 });
    expect(terminal.output).toContain("The passphrase was changed");
  });
});

describe("output on a terminal", () => {
  test("bytes are base64, colours are there, and NO_COLOR takes them away", async () => {
    const home = await vaultHome();
    const digest = new Terminal(
      "/bin/sh",
      ["-c", `printf abc | ${LANGO_IN_SHELL} crypto hash`],
      environment(home),
    );
    await digest.end();
    expect(digest.output.trim()).toBe("ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    const colored = session(home, "doctor");
    await colored.end();
    expect(colored.output).toContain("\u001b[32m");
    const plain = new Terminal(
      process.execPath,
      [...LANGO, "doctor"],
      environment(home, { NO_COLOR: "1" }),
    );
    await plain.end();
    expect(plain.output).not.toContain("\u001b[32m");
  });

  test("run does not deliver Ctrl-C twice", async () => {
    const home = await vaultHome();
    writeFileSync(join(home, "passphrase"), PASSPHRASE, { mode: 0o600 });
    const script = `let n = 0; process.on("SIGINT", () => { n++; });
      console.log("ready"); setTimeout(() => { console.log("signals " + n); process.exit(0); }, 1500)`;
    const terminal = session(home, "run", "--", process.execPath, "-e", script);
    await reply(terminal, "ready", CTRL_C);
    expect(await terminal.end()).toMatchObject({ exitCode: 0 });
    expect(terminal.output).toContain("signals 1");
  });
});

/** A key derivation that is quick enough for a test is below the floor; this one is just above it. */
function writeConfig(home: string): void {
  mkdirSync(home, { mode: 0o700 });
  writeFileSync(join(home, "config.json"), '{"security":{"kdf":"pbkdf2-sha256"}}', { mode: 0o600 });
}

describe("settings on a terminal", () => {
  const CHOOSE = "Setting, by number or name (Enter ends): ";
  const VALUE = "New value (Enter leaves it): ";
  const asked = (terminal: Terminal, question: string) =>
    terminal.output.split(question).length - 1;

  test("are shown, chosen by number or name, and written once they are sound", async () => {
    const home = await vaultHome();
    const terminal = session(home, "settings");
    const answers: [question: string, nth: number, text: string, isWritten: boolean][] = [
      [CHOOSE, 1, "no-such-thing", false],
      [CHOOSE, 2, "keyring", false],
      [VALUE, 1, "perhaps", false],
      [VALUE, 2, "true", false],
      [CHOOSE, 3, "security.interceptor", true],
      [CHOOSE, 4, "audit.onFailure", true],
      [VALUE, 3, "", true],
      [CHOOSE, 5, "", true],
    ];
    for (const [question, nth, text, isWritten] of answers) {
      await expect.poll(() => asked(terminal, question), { timeout: 10_000 }).toBe(nth);
      expect(existsSync(join(home, "config.json"))).toBe(isWritten);
      terminal.type(`${text}\r`);
    }
    expect(await terminal.end()).toMatchObject({ exitCode: 0 });
    expect(terminal.output).toMatch(/NO +SETTING +VALUE +DEFAULT +MEANING/);
    expect(terminal.output).toContain("No setting is called no-such-thing");
    expect(terminal.output).toContain("security.keyring.enabled takes true or false");
    expect(terminal.output).toContain("is false, by default false; true or false");
    expect(terminal.output).toMatch(/Which\?\r\n +security\.interceptor\.enabled/);
    expect(terminal.output).toContain('"deny" or "spool"');
    expect(terminal.output).toContain("set security.keyring.enabled");
    const file = JSON.parse(readFileSync(join(home, "config.json"), "utf8"));
    expect(file).toEqual({ security: { keyring: { enabled: true } } });
  });

  test("what the file holds cannot write on the terminal", async () => {
    const home = await vaultHome();
    const root = "/srv/\u009b2J\u202ehidden";
    const config = { gateway: { files: { root } } };
    writeFileSync(join(home, "config.json"), JSON.stringify(config), { mode: 0o600 });
    const terminal = session(home, "settings");
    await reply(terminal, CHOOSE, "gateway.files.root\r");
    await reply(terminal, VALUE, "\r");
    await expect.poll(() => asked(terminal, CHOOSE), { timeout: 10_000 }).toBe(2);
    terminal.type("\r");
    expect(await terminal.end()).toMatchObject({ exitCode: 0 });
    expect(terminal.output).not.toMatch(/[\u0080-\u009f\u202e]/);
    expect(terminal.output).toContain(String.raw`is "/srv/\u009b2J\u202ehidden", by default`);
  });

  test("a token is neither shown nor echoed", async () => {
    const home = await vaultHome();
    const terminal = session(home, "settings");
    const token = "tok-7f3a91c2e5-tok-7f3a91c2e5-7f3a";
    await reply(terminal, CHOOSE, "gateway.auth.token\r");
    await reply(terminal, VALUE, `${token}\r`);
    await expect.poll(() => asked(terminal, CHOOSE), { timeout: 10_000 }).toBe(2);
    terminal.type("\u0004");
    expect(await terminal.end()).toMatchObject({ exitCode: 0 });
    expect(terminal.output).not.toContain(token);
    expect(readFileSync(join(home, "config.json"), "utf8")).toContain(token);
  });

  test("without a terminal the subcommands are named, and help lists them", async () => {
    const none = await lango(["settings"], { home: await vaultHome() });
    expect(none.code).toBe(2);
    expect(none.stderr).toContain("get, set, list, schema");
    const help = await lango(["settings", "--help"]);
    expect(help.stdout).toMatch(/^ {2}lango settings$[\s\S]*^ {2}settings set KEY VALUE/m);
    expect((await lango(["settings", "lst"])).stderr).toContain(
      'Did you mean "lango settings list"',
    );
  });
});

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { promisify } from "node:util";
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
const NEW = "another long passphrase";
const KDF = ["--kdf", "pbkdf2-sha256:1000", "--accept-weak-kdf"];
const SETUP = ["security", "recovery", "setup"];
const RESTORE = ["security", "recovery", "restore"];

const onTerminal = (home: string, ...words: string[]): Terminal =>
  new Terminal(
    process.execPath,
    [...LANGO, ...words],
    environment(home, { LANGO_PASSPHRASE: undefined }),
  );

/** Goes through the set-up as a person does; `answer` says what is typed for a word. */
async function setUp(
  home: string,
  answer: (word: string, asked: number) => string = (word) => word,
  command = SETUP,
) {
  const terminal = onTerminal(home, ...command);
  await terminal.see("passphrase");
  terminal.type(`${PASSPHRASE}\r`);
  await terminal.see("Press Enter");
  const words = [...terminal.output.matchAll(/(\d+)\. ([a-z]+)/g)]
    .sort(([, a], [, b]) => Number(a) - Number(b))
    .map(([, , word = ""]) => word);
  expect(words).toHaveLength(24);
  terminal.type("\r");
  let wrong = 0;
  for (let asked = 0; asked - wrong < 2 && wrong < 3; asked++) {
    await expect.poll(() => questions(terminal).length, { timeout: 10_000 }).toBeGreaterThan(asked);
    const number = questions(terminal)[asked] ?? 0;
    const typed = answer(words[number - 1] ?? "", asked);
    terminal.type(`${typed}\r`);
    if (typed !== words[number - 1]) wrong += 1;
  }
  return { words, exitCode: (await terminal.end()).exitCode, output: terminal.output };
}

const questions = ({ output }: Pick<Terminal, "output">): number[] =>
  [...output.matchAll(/Word (\d+): /g)].map(([, number]) => Number(number));

describe("recovery words", () => {
  test("are asked back, open the vault, and bring a new passphrase", async () => {
    const home = await vaultHome();
    const { words, exitCode, output } = await setUp(home);
    expect(exitCode, output).toBe(0);
    // On the screen that does not stay.
    expect(output.indexOf("\x1b[?1049h")).toBeLessThan(output.indexOf(`${words[0]}`));
    expect(output.lastIndexOf("\x1b[?1049l")).toBeGreaterThan(output.indexOf("Press Enter"));
    const given = [
      "--words-file",
      fileWith(words.join("\n")),
      "--new-passphrase-file",
      fileWith(NEW),
    ];
    const env = { LANGO_PASSPHRASE: undefined };
    const restored = await langoJson([...RESTORE, ...given, ...KDF, "--yes"], { home, env });
    expect(restored.code, restored.stderr).toBe(0);
    expect(restored.document.data.removed).toHaveLength(1);
    expect(restored.stdout + restored.stderr).not.toContain(words.slice(0, 2).join(" "));
    const reveal = ["security", "secrets", "get", "api/key", "--reveal"];
    expect((await lango(reveal, { home })).code).toBe(4);
    const shown = await lango(reveal, { home, env: { LANGO_PASSPHRASE: NEW } });
    expect(shown.stdout.trim()).toBe(SECRET);
  });

  test("that were not written down change nothing", async () => {
    const home = await vaultHome();
    const { exitCode, output } = await setUp(home, () => "wrong");
    expect(exitCode, output).toBe(5);
    expect(questions({ output })).toHaveLength(3);
    const slots = await langoJson(["security", "slots", "list"], { home });
    expect(slots.document.data.slots).toHaveLength(1);
  });

  test("are not thrown away for a slip of the fingers", async () => {
    const home = await vaultHome();
    const { exitCode, output } = await setUp(home, (word, asked) => (asked === 1 ? "x" : word));
    expect(exitCode, output).toBe(0);
    const [, second, again] = questions({ output });
    expect(again).toBe(second);
    expect(output).toContain("look at your paper");
  });

  test("typed wrong are asked for again on the terminal", async () => {
    const home = await vaultHome();
    const { words } = await setUp(home);
    const terminal = onTerminal(home, ...RESTORE, ...KDF);
    await terminal.see("on one line");
    terminal.type(`${words.slice(1).join(" ")}\r`);
    await terminal.see("found 23");
    terminal.type(`${words.map((word) => word.slice(0, 4)).join(" ")}\r`);
    await terminal.see("Enter new encryption passphrase");
    terminal.type(`${NEW}\r`);
    await terminal.see("Confirm new");
    terminal.type(`${NEW}\r`);
    await terminal.see("Take the old passphrase away? [y/N]");
    terminal.type("n\r");
    expect((await terminal.end()).exitCode, terminal.output).toBe(0);
    for (const passphrase of [PASSPHRASE, NEW]) {
      const ran = await lango(["audit", "verify"], { home, env: { LANGO_PASSPHRASE: passphrase } });
      expect(ran.code, ran.stderr).toBe(0);
    }
  });

  test("of another vault, of none, and without a terminal are refused; nothing changes", async () => {
    const home = await vaultHome();
    const file = fileWith(`${"abandon ".repeat(23)}art`);
    const restore = [...RESTORE, "--words-file", file];
    const without = await lango(restore, { home });
    expectOneFault(without, 2, /has no recovery words/);
    expect(without.stderr).toMatch(/It opens with: passphrase;.*\n.*lango backup restore FILE/);
    // Whoever is locked out cannot make any.
    expect(without.stderr).not.toContain("recovery setup");
    await setUp(home);
    const before = snapshot(home);
    expectOneFault(await lango(restore, { home }), 4, /recovery words/);
    expect(snapshot(home)["keyslots.json"]).toBe(before["keyslots.json"]);
    writeFileSync(file, "only three words");
    expectOneFault(await lango(restore, { home }), 2, /24: found 3/);
    expectOneFault(await lango(RESTORE, { home }), 2, /nobody can be asked/);
    expectOneFault(await lango(["security", "recovery", "setup"], { home }), 2, /there is none/);
  });
});

test("without words but with a key, the advice brings a new passphrase", async () => {
  const home = await vaultHome();
  const key = randomBytes(32).toString("hex");
  const add = ["security", "slots", "add"];
  const held = await lango([...add, "--kind", "env", "--key-fd", "0"], { home, input: key });
  expect(held.code, held.stderr).toBe(0);
  const words = fileWith(`${"abandon ".repeat(23)}art`);
  const { document } = await langoJson([...RESTORE, "--words-file", words], { home });
  expect(document.error?.hint).toContain(
    `lango ${add.join(" ")} --kind passphrase --master-key-fd`,
  );
  const given = ["--kind", "passphrase", "--master-key-fd", "0"];
  const fresh = ["--new-passphrase-file", fileWith("a new one here")];
  const env = { LANGO_PASSPHRASE: undefined };
  const added = await lango([...add, ...given, ...fresh], { home, env, input: key });
  expect(added.code, added.stderr).toBe(0);
  const opened = { LANGO_PASSPHRASE: "a new one here" };
  expect((await lango(["keys", "rotate", "default"], { home, env: opened })).code).toBe(0);
});

describe("recovery words as a source of any command", () => {
  const ADD = ["security", "slots", "add", "--kind", "recovery", "--label", "paper"];
  const REVEAL = ["security", "secrets", "get", "api/key", "--reveal"];

  test("made by slots add, typed at the terminal with --unlock-with recovery", async () => {
    const home = await vaultHome();
    const { words, exitCode, output } = await setUp(home, undefined, ADD);
    expect(exitCode, output).toBe(0);
    const { document } = await langoJson(["security", "slots", "list"], { home });
    expect(document.data.slots).toMatchObject([
      { kind: "passphrase" },
      { kind: "recovery", label: "paper" },
    ]);
    // Their numbers, capitals and four letters of each will do; what does not fit is asked for again.
    const terminal = onTerminal(home, ...REVEAL, "--unlock-with", "recovery");
    await terminal.see("on one line");
    terminal.type(`${words.slice(1).join(" ")}\r`);
    await terminal.see("found 23");
    const typed = words.map((word, index) => `${index + 1}. ${word.slice(0, 4).toUpperCase()}`);
    terminal.type(`${typed.join(" ")}\r`);
    expect((await terminal.end()).exitCode, terminal.output).toBe(0);
    // Words that a person typed are consent: the value is shown.
    expect(terminal.output).toContain(SECRET);
    // A second set leaves the first: each is a slot of its own.
    await setUp(home, undefined, ADD);
    const after = await langoJson(["security", "slots", "list"], { home });
    expect(after.document.data.slots).toHaveLength(3);
  });

  test("from a descriptor; wrong ones exit 4 and name the checksum", async () => {
    const home = await vaultHome();
    const early = [...REVEAL, "--recovery-words-fd", "0"];
    const none = await lango(early, { home, input: "a b c" });
    expectOneFault(none, 4, /No source gave/);
    expect(none.stderr).toContain("--recovery-words-fd 0: the vault has no recovery slot");
    const { words } = await setUp(home);
    const read = (text: string, ...more: string[]) =>
      lango([...REVEAL, "--recovery-words-fd", "0", ...more], { home, input: text });
    const shown = await lango([...REVEAL, "--unlock-with", "recovery"], { home });
    expectOneFault(shown, 4, /No source gave/);
    const given = await run(
      "sh",
      [
        "-c",
        `${LANGO_IN_SHELL} ${REVEAL.join(" ")} --recovery-words-fd 3 3<"$0"`,
        fileWith(words.join("\n")),
      ],
      { env: environment(home, { LANGO_PASSPHRASE: undefined }) },
    );
    expect(given.stdout.trim()).toBe(SECRET);
    const wrong = await read(`${"abandon ".repeat(23)}about`);
    expectOneFault(wrong, 4, /do not fit together.*from --recovery-words-fd 0/);
    expect(wrong.stderr).toContain("checksum");
    expect(wrong.stderr).not.toContain("abandon");
    // They pass the checksum, and are of another vault.
    expectOneFault(await read(`${"abandon ".repeat(23)}art`), 4, /recovery words does not open/);
    expectOneFault(await read("three words only"), 4, /24: found 3/);
    expectOneFault(await read("x", "--unlock-with", "passphrase"), 2, /contradict each other/);
    const { document } = await langoJson(["audit", "verify"], { home });
    expect(document.ok).toBe(true);
    const { document: log } = await langoJson(["audit", "tail"], { home });
    const failures = log.data.events.filter(
      ({ outcome }: { outcome: string }) => outcome === "failure",
    );
    expect(failures).toHaveLength(3);
    expect(JSON.stringify(failures)).not.toContain("abandon");
  });

  test("are shown to people alone", async () => {
    const home = await vaultHome();
    expectOneFault(await lango(ADD, { home }), 2, /shown on a terminal, and there is none/);
  });
});

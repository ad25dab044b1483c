import { writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
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
import { Terminal } from "./terminal.ts";

const NEW = "another long passphrase";
const KDF = ["--kdf", "pbkdf2-sha256:1000", "--accept-weak-kdf"];
const RESTORE = ["security", "recovery", "restore"];

const onTerminal = (home: string, ...words: string[]): Terminal =>
  new Terminal(
    process.execPath,
    [...LANGO, ...words],
    environment(home, { LANGO_PASSPHRASE: undefined }),
  );

/** Goes through the set-up as a person does; `answer` says what is typed for a word. */
async function setUp(home: string, answer = (word: string) => word) {
  const terminal = onTerminal(home, "security", "recovery", "setup");
  await terminal.see("passphrase");
  terminal.type(`${PASSPHRASE}\r`);
  await terminal.see("Press Enter");
  const words = [...terminal.output.matchAll(/(\d+)\. ([a-z]+)/g)]
    .sort(([, a], [, b]) => Number(a) - Number(b))
    .map(([, , word = ""]) => word);
  expect(words).toHaveLength(24);
  terminal.type("\r");
  for (let asked = 0; asked < 2; asked++) {
    await expect.poll(() => questions(terminal).length, { timeout: 10_000 }).toBeGreaterThan(asked);
    const number = questions(terminal)[asked] ?? 0;
    const typed = answer(words[number - 1] ?? "");
    terminal.type(`${typed}\r`);
    if (typed !== words[number - 1]) break;
  }
  return { words, exitCode: (await terminal.end()).exitCode, output: terminal.output };
}

const questions = ({ output }: Terminal): number[] =>
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
    const slots = await langoJson(["security", "slots", "list"], { home });
    expect(slots.document.data.slots).toHaveLength(1);
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
    expectOneFault(await lango(restore, { home }), 2, /has no recovery words/);
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

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { root } from "../../setup/step.mjs";

// The session of the README, typed again: the same commands must print the same, but for times and hashes.
const home = mkdtempSync(path.join(tmpdir(), "lango readme "));
afterAll(() => rmSync(home, { recursive: true }));

const vault = path.join(home, ".lango");
// In place of the person at the terminal, for the two commands that ask for it.
const passphrase = path.join(home, "passphrase");
writeFileSync(passphrase, "correct horse battery\n", { mode: 0o600 });
const typed = (command: string) =>
  command.replace(/(?<=lango (?:onboard|unlock)$)/, ' --passphrase-file "$PASSPHRASE"');

const readme = readFileSync(path.join(root, "README.md"), "utf8");
const session = /```console\n(.*?)```/s.exec(readme)?.[1] ?? "";
const steps = session
  .split(/^\$ /m)
  .slice(1)
  .map((step) => {
    const [command = "", ...lines] = step.trimEnd().split("\n");
    // What ends in asterisks is a prompt, which only a terminal sees.
    return { command, lines: lines.filter((line) => !line.endsWith("*")) };
  });

const constant = (text: string) =>
  text
    .replaceAll(vault, "/home/you/.lango")
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, "TIME")
    .replaceAll(/[0-9a-f]{64}/g, "HASH");

describe("the session of the README", () => {
  it("is there", () => expect(steps.length).toBeGreaterThan(4));

  it.each(steps)("$command", ({ command, lines }) => {
    // Both streams into one, in the order of their lines.
    const { status, stdout } = spawnSync("sh", ["-c", `exec 2>&1; ${typed(command)}`], {
      cwd: root,
      env: { PATH: process.env["PATH"], HOME: home, PASSPHRASE: passphrase },
      input: "demo-000000000000000000000000",
      encoding: "utf8",
    });
    expect(status, stdout).toBe(0);
    expect(constant(stdout).trimEnd()).toBe(constant(lines.join("\n")));
  });
});

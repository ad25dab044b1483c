import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fileWith, lango, PASSPHRASE, SECRET, vaultHome } from "./support.ts";

/** The forms in which a leak would show. */
const formsOf = (secret: string): string[] => {
  const bytes = Buffer.from(secret);
  return [
    secret,
    bytes.toString("base64").replace(/=+$/, ""),
    bytes.toString("hex"),
    bytes.toString("utf16le"),
    encodeURIComponent(secret),
  ];
};

test("a tour of the commands shows neither passphrase nor secret, nor does any file", async () => {
  const home = await vaultHome();
  const wrong = "a passphrase that is wrong";
  const tour: [string[], Parameters<typeof lango>[1]?][] = [
    [["security", "status"]],
    [["security", "secrets", "list"]],
    [["security", "secrets", "set", "api/key"], { input: SECRET }],
    [["security", "secrets", "set", "argv", SECRET]],
    [["security", "secrets", "set", "bad name"], { input: SECRET }],
    [["security", "secrets", "set", "x", SECRET, "surplus"]],
    [["security", "secrets", "set", "x", "--key", "local:none"], { input: SECRET }],
    [["security", "secrets", "get", "api/key"]],
    [["security", "secrets", "get", "api/key", "--reveal"], { env: { LANGO_PASSPHRASE: wrong } }],
    [["security", "secrets", "history", "api/key"]],
    [["security", "secrets", "rollback", "api/key"]],
    [["security", "slots", "list"]],
    [["keys", "create", "k", "--type", "signing"]],
    [["keys", "list"]],
    [["crypto", "encrypt"], { input: SECRET }],
    [["crypto", "hash"], { input: SECRET }],
    [["run", "--env", "T=api/key", "--", "true"]],
    [["run", "--env", SECRET, "--", "true"]],
    [["run", "--env", "T=api/key", "--", "/nonexistent"]],
    [["whoami", "-v"]],
    [["doctor"]],
    [["audit", "verify", "--rows"]],
    [["audit", "tail", "-n", "500"]],
    [["security", "secrets", "delete", "argv", "--yes"]],
    [["security", "migrate-passphrase", "--new-passphrase-file", fileWith("a new passphrase")]],
  ];
  const forbidden = [SECRET, PASSPHRASE, wrong, "a new passphrase"].flatMap(formsOf);
  for (const [args, options] of tour) {
    for (const flags of [[], ["--json"], ["--debug"]]) {
      const { stdout, stderr } = await lango([...args, ...flags], { home, ...options });
      for (const form of forbidden) {
        expect((stdout + stderr).includes(form), `${args.join(" ")} ${flags}: ${form}`).toBe(false);
      }
    }
  }
  for (const name of readdirSync(home)) {
    const content = readFileSync(join(home, name), "latin1");
    for (const form of forbidden) {
      expect(content.includes(form), `${name}: ${form}`).toBe(false);
    }
  }
}, 120_000);

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, it } from "vitest";
import { root } from "../../setup/step.mjs";
import { requireService } from "../../vitest/require-service.ts";

const home = mkdtempSync(path.join(tmpdir(), "lango reader "));
afterAll(() => rmSync(home, { recursive: true }));

it("a reader that shares no code with ours gets a secret out of a vault by the description of the formats", () => {
  const python = requireService("python3");
  const passphrase = "correct horse battery staple";
  const env = { PATH: process.env["PATH"], LANGO_HOME: path.join(home, "vault") };
  const lango = (args: string[], input = "") =>
    execFileSync(path.join(root, "lango"), args, { env, input, stdio: ["pipe", "ignore", "pipe"] });
  mkdirSync(env.LANGO_HOME, { mode: 0o700 });
  writeFileSync(path.join(env.LANGO_HOME, "passphrase"), passphrase, { mode: 0o600 });
  lango(["onboard", "--no-input", "--kdf", "pbkdf2-sha256"]);
  lango(["security", "secrets", "set", "demo/api-key"], "an older value");
  lango(["security", "secrets", "set", "demo/api-key"], "the value, ünïcode and all");
  const reader = path.join(root, "tooling/checks/python/read_vault.py");
  const value = execFileSync(python, [reader, env.LANGO_HOME, "demo/api-key"], {
    input: passphrase,
    encoding: "utf8",
  });
  expect(value).toBe("the value, ünïcode and all");
});

import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { bytes, expectCode, makeVault, newHome, reopen } from "./helpers.ts";
import { runScript } from "./rig/spawn.ts";

test("a link in the place of the file of failures is not followed", async () => {
  const home = newHome();
  await (await makeVault(home)).close();
  const victim = join(dirname(home), "victim");
  writeFileSync(victim, "untouched\n", { mode: 0o600 });
  symlinkSync(victim, join(home, "unlock-failures.jsonl"));
  await expectCode(() => reopen(home, { passphrase: "wrong horse" }), "ERR_WRONG_PASSPHRASE");
  expect(readFileSync(victim, "utf8")).toBe("untouched\n");
});

test("counting uses keeps no process alive", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("v"));
  await vault.close();
  expect(await runScript("no-close", home)).toEqual({ status: 0, output: "timers 0\n" });
});

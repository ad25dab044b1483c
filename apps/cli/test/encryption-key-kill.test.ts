import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, cpSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { count, report, torture } from "../../../tooling/vitest/torture.ts";
import { environment, folder, LANGO, lango, type RunOptions } from "./support.ts";

const KILLS = torture(4, 80);
const SECRETS = ["security", "secrets"];
const ROTATE = ["security", "rotate", "--env-keys", "--yes"];
/** Fails unless all three values are right. */
const READ_ALL = [
  ...["run", "--env", "A=a", "--env", "B=b", "--env", "C=c", "--"],
  ...["sh", "-c", 'test "$A, $B, $C" = "value of a, value of b, value of c"'],
];

test("kill -9 of rotate --env-keys: every value reads, and it can be ended", {
  timeout: torture(120_000, 3_600_000),
}, async () => {
  const [first, second] = [randomBytes(32).toString("hex"), randomBytes(32).toString("hex")];
  const old = { LANGO_PASSPHRASE: undefined, ENCRYPTION_KEY: first };
  const both = {
    ...{ LANGO_PASSPHRASE: undefined, ENCRYPTION_KEY_V0: first },
    ...{ ENCRYPTION_KEY: second, ENCRYPTION_KEY_VERSION: "1" },
  };
  const template = join(folder(), "home");
  await good(["onboard"], { home: template, env: old });
  for (const name of ["a", "b", "c"]) {
    await good([...SECRETS, "set", name], { home: template, env: old, input: `value of ${name}` });
  }
  const copy = (): string => {
    const home = join(folder(), "home");
    cpSync(template, home, { recursive: true });
    chmodSync(home, 0o700);
    return home;
  };
  const start = performance.now();
  await good(ROTATE, { home: copy(), env: both });
  const duration = performance.now() - start;

  const outcomes = new Map<string, number>();
  for (let kill = 0; kill < KILLS; kill++) {
    const home = copy();
    const child = spawn(process.execPath, [...LANGO, ...ROTATE], {
      env: environment(home, both),
      stdio: "ignore",
    });
    const ended = new Promise<boolean>((resolve) =>
      child.on("exit", (_, signal) => resolve(signal === "SIGKILL")),
    );
    await sleep(duration * (0.45 + (0.6 * kill) / KILLS));
    child.kill("SIGKILL");
    count(outcomes, (await ended) ? "killed" : "had ended");
    await good(READ_ALL, { home, env: both });
    const again = await lango(ROTATE, { home, env: both });
    if (again.code !== 0) {
      expect(again.stderr).toContain("lango security rotate --resume");
      await good([...ROTATE, "--resume"], { home, env: both });
      count(outcomes, "resumed");
    }
    expect((await lango(["audit", "verify"], { home, env: old })).code).toBe(4);
    await good(["audit", "verify", "--rows"], { home, env: both });
  }
  report("kill -9 of lango rotate --env-keys", outcomes);
});

async function good(words: readonly string[], options: RunOptions) {
  const ran = await lango(words, options);
  expect(ran.code, words.join(" ") + ran.stderr).toBe(0);
  return ran;
}

import { spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { count, report, torture } from "../../../tooling/vitest/torture.ts";
import {
  environment,
  fileWith,
  folder,
  LANGO,
  lango,
  PASSPHRASE,
  SECRET,
  vaultHome,
} from "./support.ts";

const KILLS = torture(8, 60);
const WEAK = ["--kdf", "pbkdf2-sha256:1000", "--accept-weak-kdf"];

/** Starts lango and kills it without notice after a while; counts whether it was still there. */
async function killAfter(
  outcomes: Map<string, number>,
  ms: number,
  args: readonly string[],
  home: string,
): Promise<void> {
  const child = spawn(process.execPath, [...LANGO, ...args], {
    env: environment(home),
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.stdin.on("error", () => {});
  child.stdin.end("a new value");
  const ended = new Promise<boolean>((resolve) =>
    child.on("exit", (_, signal) => resolve(signal === "SIGKILL")),
  );
  await sleep(ms);
  child.kill("SIGKILL");
  count(outcomes, (await ended) ? "killed" : "had ended");
}

/** How long a command takes here, so that kills fall into it. */
async function durationOf(args: readonly string[], home: string): Promise<number> {
  const start = performance.now();
  expect((await lango(args, { home, input: "x" })).code).toBe(0);
  return performance.now() - start;
}

// The second half of a run is where files change; loading the program comes before it.
const moments = (duration: number): number[] =>
  Array.from({ length: KILLS }, (_, i) => duration * (0.45 + (0.6 * i) / KILLS));

describe("kill -9", () => {
  test("of onboard leaves nothing, or a vault, or what the next onboard replaces", {
    timeout: torture(120_000, 3_600_000),
  }, async () => {
    const outcomes = new Map<string, number>();
    const duration = await durationOf(["onboard", ...WEAK], join(folder(), "new"));
    for (const moment of moments(duration)) {
      const home = join(folder(), "new");
      await killAfter(outcomes, moment, ["onboard", ...WEAK], home);
      const again = await lango(["onboard", ...WEAK], { home });
      const finished = again.code === 9 && again.stderr.includes("holds a vault already\n");
      expect(again.code === 0 || finished, again.stderr).toBe(true);
      expect((await lango(["audit", "verify", "--rows"], { home })).code).toBe(0);
    }
    report("kill -9 of lango onboard", outcomes);
  });

  test("of secrets set leaves the old value or the new one", {
    timeout: torture(120_000, 3_600_000),
  }, async () => {
    const outcomes = new Map<string, number>();
    const home = await vaultHome();
    const args = ["security", "secrets", "set", "api/key"];
    const duration = await durationOf(["security", "secrets", "set", "other"], home);
    for (const moment of moments(duration)) {
      await killAfter(outcomes, moment, args, home);
      const value = await lango(["security", "secrets", "get", "api/key", "--reveal"], { home });
      expect([SECRET, "a new value"], value.stderr).toContain(value.stdout);
    }
    expect((await lango(["audit", "verify", "--rows"], { home })).code).toBe(0);
    report("kill -9 of lango secrets set", outcomes);
  });

  test("of migrate-passphrase leaves a vault that one of the two opens", {
    timeout: torture(120_000, 3_600_000),
  }, async () => {
    const outcomes = new Map<string, number>();
    const next = "another passphrase";
    const flags = (from: string, to: string) => [
      "security",
      "migrate-passphrase",
      "--old-passphrase-file",
      fileWith(from),
      "--new-passphrase-file",
      fileWith(to),
      ...WEAK,
    ];
    const duration = await durationOf(flags(PASSPHRASE, next), await vaultHome());
    for (const moment of moments(duration)) {
      const home = await vaultHome();
      await killAfter(outcomes, moment, flags(PASSPHRASE, next), home);
      const read = (passphrase: string) =>
        lango(["security", "secrets", "get", "api/key", "--reveal"], {
          home,
          env: { LANGO_PASSPHRASE: passphrase },
        });
      const values = [(await read(PASSPHRASE)).stdout, (await read(next)).stdout];
      expect(values).toContain(SECRET);
    }
    report("kill -9 of lango migrate-passphrase", outcomes);
  });
});

import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { count, report, torture } from "../../../tooling/vitest/torture.ts";
import { ALONE, copyOf, expectBrought, flags, migrate, originalHome } from "./original-support.ts";
import { environment, LANGO } from "./support.ts";

const PRELOAD = new URL("./kill-at-stage.ts", import.meta.url).href;
const KILLS = torture(20, 200);
const AT_EACH_STAGE = torture(1, 4);

/** How many times a stage is reached before the kill, and which. */
const STAGES = [
  ...["aside:linked", "aside:whole", "aside:renamed", "aside:done"].map((name) => `1 ${name}`),
  ...["database", "rows", "written", "renamed", "ready"].map((name) => `1 onboard:${name}`),
  ...["1 secret:sealed", "2 secret:written", "3 secret:audited", "5 secret:audited"],
];

const NAMES = ["lango.db", "lango.db-wal"];

/** Every file of the original is whole under one of its two names, unless it is not there at all. */
function expectOriginal(home: string, before: readonly Buffer[]): void {
  for (const [at, content] of before.entries()) {
    const [own, aside] = [NAMES[at]!, NAMES[at]!.replace("lango.db", "lango.db.original")];
    const found = [aside, own]
      .map((name) => join(home, name))
      .find((path) => existsSync(path) && readFileSync(path).equals(content));
    expect(found, own).toBeDefined();
  }
}

/** Ends with a kill: at a stage, or at a moment. */
function killed(home: string, at: string | number): Promise<boolean> {
  const child = spawn(process.execPath, ["--import", PRELOAD, ...LANGO, ...flags()], {
    env: environment(home, { ...ALONE, LANGO_TEST_KILL: typeof at === "string" ? at : undefined }),
    stdio: ["ignore", "ignore", "ignore"],
  });
  if (typeof at === "number") void sleep(at).then(() => child.kill("SIGKILL"));
  return new Promise((resolve) => child.on("exit", (_, signal) => resolve(signal === "SIGKILL")));
}

test("kill -9 of db-migrate --from-passphrase loses nothing, and the same command ends it", {
  timeout: torture(600_000, 7_200_000),
}, async () => {
  const outcomes = new Map<string, number>();
  const template = originalHome({ inLog: 2 });
  const before = NAMES.map((name) => readFileSync(join(template, name)));
  const start = performance.now();
  expect((await migrate(copyOf(template))).code).toBe(0);
  const duration = performance.now() - start;
  const atStages = Array.from({ length: AT_EACH_STAGE }, () => STAGES).flat();
  const atMoments = Array.from(
    { length: KILLS - atStages.length },
    (_, at) => duration * (0.3 + (0.7 * at) / (KILLS - atStages.length)),
  );
  for (const at of [...atStages, ...atMoments]) {
    const home = copyOf(template);
    const died = await killed(home, at);
    if (typeof at === "string") expect(died, at).toBe(true);
    count(outcomes, typeof at === "string" ? at.slice(2) : died ? "a moment" : "had ended");
    expectOriginal(home, before);
    const again = await migrate(home);
    expect(again.code, `${at}: ${again.stderr}`).toBe(0);
    await expectBrought(home);
    expectOriginal(home, before);
  }
  report("kill -9 of lango db-migrate --from-passphrase, after", outcomes);
});

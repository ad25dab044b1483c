import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { root, run } from "../step.mjs";

// The launcher in a checkout of its own, with a program that says how it was started.
const checkout = mkdtempSync(path.join(tmpdir(), "lango launcher "));
const launcher = path.join(checkout, "lango");
const program = `
  import { execFileSync } from "node:child_process";
  const cores = execFileSync("sh", ["-c", "ulimit -c"], { encoding: "utf8" }).trim();
  console.log(JSON.stringify({ args: process.argv.slice(2), flags: process.execArgv, cores }));
  process.exitCode = 7;
`;
afterAll(() => rmSync(checkout, { recursive: true }));

describe.skipIf(process.platform === "win32")("./lango", () => {
  beforeEach(() => {
    copyFileSync(path.join(root, "lango"), launcher);
    mkdirSync(path.join(checkout, "apps/cli/dist"), { recursive: true });
    mkdirSync(path.join(checkout, ".tools"), { recursive: true });
    writeFileSync(path.join(checkout, ".tools/node-path"), `${process.execPath}\n`);
    writeFileSync(path.join(checkout, "package.json"), '{"type":"module"}');
    writeFileSync(path.join(checkout, "apps/cli/dist/lango.js"), program);
  });

  it("passes arguments and the exit status, without core dumps, inspector signal and environment in reports", async () => {
    const { status, output } = await run(launcher, ["set", "a b", "", "*"], { env: {} });
    expect(JSON.parse(output)).toEqual({
      args: ["set", "a b", "", "*"],
      flags: ["--disable-sigusr1", "--report-exclude-env"],
      cores: "0",
    });
    expect(status).toBe(7);
    // There the option would keep the signal from lango, which hands it on.
    const handingOn = await run(launcher, ["run", "--", "true"], { env: {} });
    expect(JSON.parse(handingOn.output).flags).toEqual(["--report-exclude-env"]);
    const afterOption = await run(launcher, ["--json", "run", "--", "true"], { env: {} });
    expect(JSON.parse(afterOption.output).flags).toEqual(["--report-exclude-env"]);
    const other = await run(launcher, ["x", "--", "run"], { env: {} });
    expect(JSON.parse(other.output).flags).toContain("--disable-sigusr1");
  });

  it("finds its checkout through relative and absolute symbolic links", async () => {
    symlinkSync(launcher, path.join(checkout, "absolute"));
    mkdirSync(path.join(checkout, "bin dir"));
    symlinkSync("../absolute", path.join(checkout, "bin dir/relative"));
    const { status } = await run(path.join(checkout, "bin dir/relative"), []);
    expect(status).toBe(7);
    expect((await run("sh", ["lango"], { cwd: checkout })).status).toBe(7);
  });

  it("asks for npm start in a checkout that is not built", async () => {
    rmSync(path.join(checkout, "apps"), { recursive: true });
    expect(await run(launcher, ["--version"])).toEqual({
      status: 1,
      output: `lango: not built yet. Run \`npm start\` in ${checkout} first.\n`,
    });
  });
});

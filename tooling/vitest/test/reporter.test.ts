import path from "node:path";
import { describe, expect, it } from "vitest";
import { toolProgram } from "../../setup/build.mjs";
import { run } from "../../setup/step.mjs";

/** Runs Vitest with our reporter on one fixture, with no service to be found. */
async function report(fixture: string, env: NodeJS.ProcessEnv = {}) {
  const folder = path.join(import.meta.dirname, "fixtures");
  const reporter = path.join(import.meta.dirname, "../reporter.ts");
  const args = [toolProgram("vitest"), "run", "--root", folder, "--reporter", reporter, fixture];
  const { status, output } = await run(process.execPath, args, {
    env: { PATH: process.env["PATH"], LANGO_SERVICE_OPENSSL: "", ...env },
  });
  return { status, lines: output.trimEnd().split("\n") };
}

describe("the last lines", () => {
  it("count what passed, failed and was skipped, with the reason", async () => {
    const { status, lines } = await report("passes-and-fails.ts");
    expect(lines.at(-1)).toBe("1 passed, 1 failed, 1 skipped");
    // The log above may have thousands of lines, of which only a part is kept.
    expect(lines.at(-3)).toMatch(/^FAILED {3}fails: expected 1 to be 2/);
    expect(lines.at(-2)).toMatch(/^SKIPPED .*is skipped: no such machine$/);
    expect(status).toBe(1);
  });

  it.each([
    ["a file that breaks", "breaks.ts", "0 passed, 1 failed"],
    ["an error that no test caught", "stray-error.ts", "1 passed, 1 failed"],
  ])("count %s as failed", async (_, fixture, line) => {
    const { status, lines } = await report(fixture);
    expect(lines.at(-1)).toBe(line);
    expect(status).toBe(1);
  });

  it("count a broken hook as failed, and its tests not as passed", async () => {
    const { status, lines } = await report("broken-hook.ts");
    expect(lines.at(-1)).toMatch(/^0 passed, 1 failed/);
    expect(status).toBe(1);
  });
});

describe("conformance", () => {
  it("stands above the last line, by subject", async () => {
    const { lines } = await report("conformance.ts");
    expect(lines.slice(-4)).toEqual([
      "CONFORMANCE  kms on mock: 3 run, 2 passed, 1 failed, of which 1 is a fault of the server",
      "  fault, shown nowhere: sign: works: it signs twice",
      expect.stringMatching(/^FAILED {3}as describeProvider marks its checks > mac: works: /),
      "2 passed, 1 failed",
    ]);
  });
});

describe("requireService", () => {
  it("gives the path that the runner found", async () => {
    const { lines } = await report("needs-service.ts", {
      LANGO_SERVICE_OPENSSL: "/somewhere/openssl",
    });
    expect(lines.at(-1)).toBe("1 passed, 0 failed");
  });

  it("skips with the reason where there is none", async () => {
    const { status, lines } = await report("needs-service.ts");
    expect(lines.at(-1)).toBe("0 passed, 0 failed, 1 skipped");
    expect(lines.at(-2)).toContain("openssl: no usable program found");
    expect(status).toBe(0);
  });

  it("fails where every service is required", async () => {
    const { status, lines } = await report("needs-service.ts", { LANGO_TEST_REQUIRE: "all" });
    expect(lines.at(-1)).toBe("0 passed, 1 failed");
    expect(status).toBe(1);
  });

  it("fails in a hook, which cannot skip", async () => {
    const { lines } = await report("service-in-hook.ts");
    expect(lines.at(-1)).toMatch(/^0 passed, 1 failed/);
  });
});

describe("withService", () => {
  it("defines the tests where the service is", async () => {
    const { lines } = await report("with-service.ts", {
      LANGO_SERVICE_OPENSSL: "/somewhere/openssl",
    });
    expect(lines.at(-1)).toBe("2 passed, 0 failed");
  });

  it("has one skipped test stand for them where it is not, or a failed one", async () => {
    const { lines } = await report("with-service.ts");
    expect(lines.at(-1)).toBe("0 passed, 0 failed, 1 skipped");
    expect(lines.at(-2)).toContain("openssl: no usable program found");
    const required = await report("with-service.ts", { LANGO_TEST_REQUIRE: "all" });
    expect(required.lines.at(-1)).toBe("0 passed, 1 failed");
  });
});

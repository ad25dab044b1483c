import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { sarifErrors } from "./sarif.ts";
import {
  expectOneFault,
  fileWith,
  folder,
  lango,
  langoJson,
  SECRET,
  sharedVaultHome,
} from "./support.ts";

let home: string;
beforeAll(async () => {
  home = await sharedVaultHome();
});

const BASE64 = Buffer.from(SECRET).toString("base64");
const scan = (args: readonly string[], options: Parameters<typeof lango>[1] = {}) =>
  lango(["scan", ...args], { home, ...options });

describe("scan", () => {
  test("tells file, line, name and form, never a value, and ends with 10", async () => {
    const path = folder();
    writeFileSync(join(path, "a.log"), `one\ntwo ${SECRET}\nthree\n${BASE64} ${SECRET}\n`);
    mkdirSync(join(path, "below"));
    writeFileSync(join(path, "below/b.bin"), Buffer.concat([Buffer.alloc(9), Buffer.from(SECRET)]));
    writeFileSync(join(path, "clean"), "nothing here\n");
    symlinkSync("/proc/self/environ", join(path, "link"));
    const ran = await scan([path]);
    expect(ran.code).toBe(10);
    expect(ran.stdout.trimEnd().split("\n")).toEqual([
      `${path}/a.log:2: api/key (raw)`,
      `${path}/a.log:4: api/key (base64)`,
      `${path}/a.log:4: api/key (raw)`,
      `${path}/below/b.bin:1: api/key (raw)`,
    ]);
    expect(ran.stderr).toMatch(/^4 places in 3 files, \d+ bytes\n$/);
    expect(ran.stdout + ran.stderr).not.toContain(SECRET);
  });

  test("ends with 0 where there is none, and reads standard input", async () => {
    expect(await scan(["-"], { input: "clean" })).toMatchObject({ code: 0, stdout: "" });
    const ran = await scan(["-"], { input: `\n\n${SECRET}` });
    expect(ran).toMatchObject({ code: 10, stdout: "-:3: api/key (raw)\n" });
  });

  test("is a document with --json and --format json", async () => {
    const path = fileWith(`x\n${SECRET}`);
    const finding = {
      path,
      line: 2,
      offset: 2,
      length: SECRET.length,
      secret: "api/key",
      form: "raw",
    };
    const { code, document } = await langoJson(["scan", path], { home });
    expect(code).toBe(10);
    expect(document).toMatchObject({ ok: true, data: { files: 1, findings: [finding] } });
    const ran = await scan([path, "--format", "json"]);
    expect(JSON.parse(ran.stdout)).toEqual(document);
  });

  test("is a log of SARIF 2.1.0", async () => {
    const ran = await scan([fileWith(`x\n${SECRET}`, "my notes"), "--format", "sarif"]);
    expect(ran.code).toBe(10);
    const log = JSON.parse(ran.stdout);
    expect(log.version).toBe("2.1.0");
    const [{ tool, results }] = log.runs;
    expect(tool.driver.name).toBe("lango");
    expect(results[0].ruleId).toBe(tool.driver.rules[0].id);
    const { artifactLocation, region } = results[0].locations[0].physicalLocation;
    expect(artifactLocation.uri).toMatch(/^file:\/\/\/.*my%20notes$/);
    expect(region).toEqual({ startLine: 2, byteOffset: 2, byteLength: SECRET.length });
    expect(ran.stdout).not.toContain(SECRET);
    const clean = await scan([fileWith("x"), "--format", "sarif"]);
    expect(JSON.parse(clean.stdout).runs[0].results).toEqual([]);
  });

  test("is a log that the schema of SARIF takes, with and without findings", async () => {
    const path = folder();
    writeFileSync(join(path, "a b#?%.log"), `${SECRET}\n${BASE64}`);
    writeFileSync(join(path, "empty"), "");
    for (const [args, input, count] of [
      [[path], "", 2],
      [["-"], SECRET, 1],
      [[join(path, "empty")], "", 0],
    ] as const) {
      const ran = await scan([...args, "--format", "sarif"], { input });
      const log = JSON.parse(ran.stdout);
      expect(sarifErrors(log)).toEqual([]);
      expect(log.runs[0].results).toHaveLength(count);
      // The schema is one that finds mistakes.
      log.runs[0].tool.driver.name = 5;
      expect(sarifErrors(log)).not.toEqual([]);
    }
  });

  test("finds what agents keep of their sessions", async () => {
    const user = folder();
    const kept = [
      ".claude/projects/-home-me/0a1b.jsonl",
      ".codex/sessions/2026/11/22/rollout-1.jsonl",
      ".cursor/chats/1/store.db",
      ".gemini/tmp/1/logs.json",
      ".local/share/opencode/storage/m.json",
    ];
    for (const name of kept) {
      mkdirSync(join(user, name, ".."), { recursive: true });
      writeFileSync(join(user, name), JSON.stringify({ role: "tool", content: `key ${SECRET}` }));
    }
    const env = { HOME: user, XDG_DATA_HOME: undefined, XDG_CONFIG_HOME: undefined };
    const ran = await scan(["--transcripts"], { env });
    expect(ran.code, ran.stderr).toBe(10);
    expect(ran.stdout.trimEnd().split("\n").sort()).toEqual(
      kept.map((name) => `${join(user, name)}:1: api/key (raw)`).sort(),
    );
  });

  test("finds a secret across the pieces in which a large file is read", async () => {
    const before = `${"line of text\n".repeat(200_000)}`.slice(0, 2_621_437);
    const ran = await scan([fileWith(`${before}${SECRET}\n`)]);
    const line = before.split("\n").length;
    expect(ran.stdout).toMatch(new RegExp(`:${line}: api/key \\(raw\\)\\n$`));
  });

  test("its mistakes", async () => {
    expectOneFault(await scan([]), 2, /needs a PATH/);
    expectOneFault(await scan(["/nonexistent/file"]), 3, /nonexistent/);
    expectOneFault(await scan(["--format", "xml", "."]), 2, /must be one of text, json, sarif/);
  });
});

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as agentTools from "@lango/agent-tools";
import { expect, onTestFinished, test } from "vitest";
import { rig } from "./rig.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const [example = "", served = ""] = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(
  (found) => found[1]!,
);

/** Runs code in a process and a home of its own. */
const runInHome = (code: string, input: string): ReturnType<typeof spawnSync> => {
  const home = mkdtempSync(join(tmpdir(), "lango-readme-"));
  // Inside the package, so that its name leads to these sources.
  const file = fileURLToPath(new URL(`readme-example-${process.pid}.ts`, import.meta.url));
  onTestFinished(() => {
    rmSync(home, { recursive: true, force: true });
    rmSync(file, { force: true });
  });
  writeFileSync(file, code);
  return spawnSync(process.execPath, ["--conditions=@lango/source", "--no-warnings", file], {
    env: { ...process.env, HOME: home },
    encoding: "utf8",
    input,
  });
};

test("the example in a process prints what its comments say", () => {
  const { stdout, stderr } = runInHome(example, "");
  expect(stderr).toBe("");
  const said = [...example.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map((found) => found[1]);
  expect(said.length).toBe(3);
  expect(String(stdout).trimEnd().split("\n")).toEqual(said);
});

test("the example over MCP serves", () => {
  const parts = example.slice(0, example.indexOf("const tools ="));
  const imports = 'import { createElicitation, serveMcp } from "@lango/agent-tools";\n';
  const clientInfo = { name: "c", version: "1" };
  const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo };
  const opening = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params });
  const { stdout, status } = runInHome(imports + parts + served, `${opening}\n`);
  expect(JSON.parse(String(stdout))).toMatchObject({
    result: { serverInfo: { name: "my-server", version: "1.0.0" } },
  });
  expect(status).toBe(0);
});

test("the README names every function that is exported, and every tool with its parameters", async () => {
  for (const [name, value] of Object.entries(agentTools)) {
    if (typeof value === "function") expect(readme, name).toContain(`\`${name}\``);
  }
  const { tools } = await rig();
  for (const { definition } of tools) {
    const row = readme.split("\n").find((line) => line.startsWith(`| \`${definition.name}\` |`));
    const parameters = row?.split("|")[2]?.match(/`(\w+)`/g) ?? [];
    const declared = Object.keys(definition.inputSchema["properties"] as object);
    expect(parameters.map((each) => each.slice(1, -1)).sort(), definition.name).toEqual(
      declared.sort(),
    );
    expect(row?.split("|")[3]).toContain(
      definition.name === "secrets.get" ? "approved each time" : definition.safety,
    );
  }
});

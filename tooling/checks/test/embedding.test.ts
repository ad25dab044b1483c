import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { root, run } from "../../setup/step.mjs";
import { npmCommand } from "../../setup/tools.mjs";
import { requireService } from "../../vitest/require-service.ts";
import { pack } from "../published.ts";

// What a user of one provider does: an empty app, two packages from their tarballs, the README's example.
const app = mkdtempSync(path.join(tmpdir(), "lango embedding "));
afterAll(() => rmSync(app, { recursive: true }));

beforeAll(async () => {
  const tarballs = ["packages/crypto-core", "packages/crypto-local"].map((f) => pack(f, app));
  // Their dependencies come from the workspace, so that this needs no registry.
  const noble = realpathSync(path.join(root, "packages/crypto-local/node_modules/@noble/curves"));
  const local = ["curves", "hashes"].map((name) => {
    const copy = path.join(app, name);
    cpSync(realpathSync(path.join(noble, "..", name)), copy, { recursive: true });
    return pack(copy, app);
  });
  writeFileSync(path.join(app, "package.json"), JSON.stringify({ name: "app", type: "module" }));
  const install = ["install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts"];
  const [npm, npmArgs] = npmCommand();
  const args = [...npmArgs, ...install, ...tarballs, ...local];
  const { status, output } = await run(npm, args, { cwd: app });
  expect(status, output).toBe(0);
  const readme = readFileSync(path.join(root, "README.md"), "utf8");
  const example = /```js\n(.*?)```/s.exec(readme)?.[1] ?? "";
  expect(example).toContain("@lango/crypto-local");
  writeFileSync(path.join(app, "example.js"), example);
  writeFileSync(
    path.join(app, "required.cjs"),
    'console.log(typeof require("@lango/crypto-local").createLocalProvider);',
  );
}, 60_000);

async function expectExampleRuns(node: string): Promise<void> {
  const imported = await run(node, ["example.js"], { cwd: app });
  expect(imported).toEqual({ status: 0, output: "hello\n" });
  const required = await run(node, ["required.cjs"], { cwd: app });
  expect(required).toEqual({ status: 0, output: "function\n" });
}

it("runs the README's example from the published packages", () =>
  expectExampleRuns(process.execPath));

it("runs it on Node 22", () => expectExampleRuns(requireService("node22")));

it("installs nothing but what the two packages name", () => {
  const scopes = readdirSync(path.join(app, "node_modules")).filter(
    (name) => !name.startsWith("."),
  );
  expect(scopes).toEqual(["@lango", "@noble"]);
});

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { isNodeNewEnough, pins } from "../platform.mjs";
import { run, SetupError } from "../step.mjs";
import { fetchInto } from "../tools.mjs";

// A registry of one package, on loopback: what a bad mirror or a man in the middle could send.
const folder = mkdtempSync(path.join(tmpdir(), "lango tools "));
const packed = path.join(folder, "packed");
let server: Server;
let tool: { name: string; version: string; integrity: string };

beforeAll(async () => {
  mkdirSync(path.join(packed, "package"), { recursive: true });
  const manifest = { name: "lango-test-tool", version: "1.0.0" };
  writeFileSync(path.join(packed, "package/package.json"), JSON.stringify(manifest));
  await run("tar", ["-czf", "tool.tgz", "package"], { cwd: packed });
  const tarball = readFileSync(path.join(packed, "tool.tgz"));
  const integrity = `sha512-${createHash("sha512").update(tarball).digest("base64")}`;
  tool = { ...manifest, integrity };
  server = createServer((request, response) => {
    if (request.url?.endsWith(".tgz")) return response.end(tarball);
    const { port } = server.address() as AddressInfo;
    const dist = { tarball: `http://127.0.0.1:${port}/tool.tgz`, integrity };
    const versions = { "1.0.0": { ...manifest, dist } };
    response.setHeader("content-type", "application/json");
    return response.end(
      JSON.stringify({ ...manifest, "dist-tags": { latest: "1.0.0" }, versions }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

let target: string;
beforeEach(() => {
  target = mkdtempSync(path.join(folder, "target "));
  useRegistry((server.address() as AddressInfo).port);
  vi.stubEnv("npm_config_cache", path.join(target, "cache"));
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const useRegistry = (port: number) =>
  vi.stubEnv("npm_config_registry", `http://127.0.0.1:${port}/`);
const installed = () => path.join(target, "node_modules/lango-test-tool/package.json");
const failure = async (work: Promise<unknown>): Promise<SetupError> => {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SetupError);
  return error as SetupError;
};

it("installs what has the pinned hash, once", async () => {
  await fetchInto(target, [tool]);
  expect(existsSync(installed())).toBe(true);
  // Nobody listens on port 9: a second fetch would fail.
  useRegistry(9);
  await fetchInto(target, [tool]);
});

it("installs nothing when the registry sends other bytes than those pinned", async () => {
  const integrity = `sha512-${createHash("sha512").update("other").digest("base64")}`;
  const error = await failure(fetchInto(target, [{ ...tool, integrity }]));
  expect(error.message).toBe("could not fetch lango-test-tool@1.0.0 with npm (EINTEGRITY)");
  expect(error.hint).toContain("pins.json");
  expect(existsSync(installed())).toBe(false);
});

it("fetches again when what is there was tampered with in npm's record", async () => {
  await fetchInto(target, [tool]);
  const record = path.join(target, "node_modules/.package-lock.json");
  writeFileSync(record, readFileSync(record, "utf8").replace(tool.integrity, "sha512-AAAA"));
  rmSync(installed());
  await fetchInto(target, [tool]);
  expect(existsSync(installed())).toBe(true);
});

it("says in one line that the registry cannot be reached", async () => {
  useRegistry(9);
  const error = await failure(fetchInto(target, [tool]));
  expect(error.message).toBe("could not fetch lango-test-tool@1.0.0 with npm (ECONNREFUSED)");
  expect(error.hint).toContain("registry and proxy");
});

it.each([
  ["v24.11.0", true],
  ["v24.10.9", false],
  ["v25.1.0", false],
  ["v26.0.0", true],
  ["v20.20.2", false],
])("Node %s is new enough: %s", (version, expected) => {
  expect(isNodeNewEnough(version)).toBe(expected);
});

it("pins a full SHA-512 for every download", () => {
  for (const { version, packages } of [pins.node, pins.node22, pins.pnpm]) {
    expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    for (const { integrity } of Object.values<{ integrity: string }>(packages)) {
      expect(Buffer.from(integrity.slice("sha512-".length), "base64")).toHaveLength(64);
    }
  }
});

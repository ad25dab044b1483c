import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

test("importing the package, and making a provider, loads no part of a connection", () => {
  const index = new URL("../src/index.ts", import.meta.url);
  const code = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
    const { createRpcProvider } = await import(${JSON.stringify(index.href)});
    createRpcProvider({ url: "https://phone.local", identity: {}, peers: {} });
    process.stdout.write(JSON.stringify(loaded));`;
  const args = ["--conditions=@lango/source", "--input-type=module", "-e", code];
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  const loaded: string[] = JSON.parse(
    execFileSync(process.execPath, args, { cwd, encoding: "utf8" }),
  );
  expect(loaded).toContain(index.href);
  expect(loaded.filter((url) => /node_modules|packages\/companion/.test(url))).toEqual([]);
});

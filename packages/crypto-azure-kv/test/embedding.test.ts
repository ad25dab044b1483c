import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { credentialOf, pipeline, providerOf, standInHere } from "./set-up.ts";
import type { StandIn } from "./stand-in/server.ts";

const exec = promisify(execFile);
const folder = fileURLToPath(new URL("..", import.meta.url));
const readme = readFileSync(join(folder, "README.md"), "utf8");
let temporary: string;
let standIn: StandIn;

beforeAll(async () => {
  // Inside the package, so that it finds the packages that a user would have installed.
  temporary = mkdtempSync(join(folder, "test", ".embedding-"));
  standIn = await standInHere({ token: "fixed-token" });
});
afterAll(async () => {
  rmSync(temporary, { recursive: true });
  await standIn.stop();
});

const run = async (node: string, program: string, env: NodeJS.ProcessEnv = {}): Promise<string> => {
  const path = join(temporary, "program.ts");
  writeFileSync(path, program);
  const { stdout } = await exec(node, ["--conditions=@lango/source", path], {
    env: { ...process.env, NODE_NO_WARNINGS: "1", ...env },
  });
  return stdout;
};

const watched = `
import { registerHooks } from "node:module";
const seen = new Set();
registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    for (const [sdk] of found.url.matchAll(/@azure.(?:keyvault-keys|identity)(?=\\/dist)/g)) seen.add(sdk);
    return found;
  },
});
const loaded = () => console.log(JSON.stringify([...seen].sort()));
const { createAzureKvProvider } = await import("@lango/crypto-azure-kv");
`;

test("the import loads no SDK; a call does, and @azure/identity only where no credential is given", async () => {
  const getToken = "getToken: async () => { throw new Error('no token') }";
  const output = await run(
    process.execPath,
    `${watched}
const options = { vaultUrl: "https://127.0.0.1:1", allowLoopback: true };
const given = createAzureKvProvider({ ...options, credential: { ${getToken} } });
loaded();
await given.health({ keyId: "k" });
loaded();
await createAzureKvProvider(options).health({ keyId: "k", signal: AbortSignal.timeout(3000) }).catch(() => {});
loaded();
process.exit();`,
  );
  const identity = "@azure/identity";
  const keys = "@azure/keyvault-keys";
  expect(
    output
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toEqual([[], [keys], [identity, keys]]);
});

test("Node 22 signs, verifies, encrypts and decrypts with it", async () => {
  const ca = join(temporary, "ca.pem");
  writeFileSync(ca, pipeline().tlsOptions.ca);
  const program = `
import assert from "node:assert/strict";
import { createAzureKvProvider } from "@lango/crypto-azure-kv";
const provider = createAzureKvProvider({
  vaultUrl: ${JSON.stringify(standIn.url)},
  allowLoopback: true,
  credential: { getToken: async () => ({ token: "fixed-token", expiresOnTimestamp: Date.now() + 3600000 }) },
});
await provider.createKey({ keyId: "data22", algorithm: "rsa-2048", usage: "encryption" });
await provider.createKey({ keyId: "sign22", algorithm: "secp256k1", usage: "signing" });
const message = new TextEncoder().encode("hello");
const { ciphertext } = await provider.encrypt({ keyId: "data22", plaintext: message });
assert.deepEqual(await provider.decrypt({ keyId: "data22", ciphertext }), message);
const { signature } = await provider.sign({ keyId: "sign22", message });
assert.ok(await provider.verify({ keyId: "sign22", message, signature }));
console.log(process.version);
await provider.close();
`;
  const env = { NODE_EXTRA_CA_CERTS: ca };
  expect(await run(requireService("node22"), program, env)).toMatch(/^v22\./);
});

test("the example of the README runs", async () => {
  const [, example = ""] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  expect(example).toContain("assert.");
  const settings = 'vaultUrl: "https://my-vault.vault.azure.net"';
  expect(example).toContain(settings);
  await providerOf(standIn).createKey!({
    keyId: "agents",
    algorithm: "rsa-3072",
    usage: "encryption",
  });
  const path = join(temporary, "example.ts");
  writeFileSync(path, example.replace(settings, "...globalThis.standIn"));
  Object.assign(globalThis, {
    standIn: {
      vaultUrl: standIn.url,
      allowLoopback: true,
      credential: credentialOf(standIn),
      pipeline: pipeline(),
    },
  });
  await import(path);
});

test("the README has the headings of every provider, every trap and every code", async () => {
  const headings = [...readme.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
  expect(headings).toEqual([
    "Keys it accepts",
    "Operations",
    "Limits",
    "Permissions",
    "Errors",
    "Traps",
    "Tested against",
  ]);
  const { KEY_ALGORITHMS, SCHEMES } = await import("../src/algorithms.ts");
  const { INNER_CODES, NAMES, STATUSES } = await import("../src/errors.ts");
  const { jwas, ...rows } = { jwas: SCHEMES, INNER_CODES, KEY_ALGORITHMS, NAMES, STATUSES };
  const words = Object.values(rows).flatMap((row) => Object.keys(row));
  for (const word of [
    ...words,
    ...Object.keys(jwas),
    ...Object.values(jwas).map(({ jwa }) => jwa),
  ]) {
    expect(readme).toContain(`\`${word}\``);
  }
  const traps = [...readme.matchAll(/^(\d+)\. /gm)].map(([, number]) => Number(number));
  expect(traps).toEqual(Array.from({ length: 14 }, (_, index) => index + 1));
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { CryptoError, loadProvider } from "@lango/crypto-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const GOOD = (name: string): string => `
  export const provider = {
    name: ${JSON.stringify(name)},
    configSchema: { parse: (input) => input },
    create: () => { throw new Error("not in this test"); },
  };`;

/** Packages by name: the files of each. */
const PACKAGES: Record<string, Record<string, string>> = {
  "@lango/crypto-good": { "index.mjs": GOOD("good") },
  "@acme/kms": { "index.mjs": GOOD("acme") },
  "lango-crypto-other": { "index.mjs": GOOD("other") },
  "@lango/crypto-common": {
    "index.mjs":
      "export default { provider: { name: 'common', configSchema: { parse: (x) => x }, create() {} } };",
  },
  "@lango/crypto-hungry": { "index.mjs": `import "missing-sdk"; ${GOOD("hungry")}` },
  "@lango/crypto-hollow": { "index.mjs": `import "./gone.mjs"; ${GOOD("hollow")}` },
  "@lango/crypto-empty": {},
  "@lango/crypto-throws": { "index.mjs": "throw new Error('boom');" },
  "@lango/crypto-nothing": { "index.mjs": "export const something = 1;" },
  "@lango/crypto-half": { "index.mjs": "export const provider = { name: 'half', create() {} };" },
  "@lango/crypto-liar": { "index.mjs": GOOD("good") },
};

let folder: string;
let load: (specifier: string) => Promise<unknown>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "lango load "));
  const write = (file: string, text: string): void => {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  };
  for (const [name, files] of Object.entries(PACKAGES)) {
    const root = join(folder, "node_modules", name);
    write(
      join(root, "package.json"),
      JSON.stringify({ name, type: "module", exports: "./index.mjs" }),
    );
    for (const [file, text] of Object.entries(files)) write(join(root, file), text);
  }
  // The program whose import is used; under node_modules, where Vitest leaves it to Node.
  const app = join(folder, "node_modules", "app", "index.mjs");
  write(app, "export const load = (specifier) => import(specifier);");
  ({ load } = await import(/* @vite-ignore */ pathToFileURL(app).href));
});

afterAll(() => rmSync(folder, { recursive: true }));

const failure = async (name: string): Promise<CryptoError> => {
  try {
    await loadProvider(name, { import: load });
  } catch (error) {
    return error as CryptoError;
  }
  throw new Error(`${name} was loaded`);
};

describe("loadProvider", () => {
  it.each([
    ["good", "good"],
    ["common", "common"],
    ["@acme/kms", "acme"],
    ["lango-crypto-other", "other"],
    ["@lango/crypto-good", "good"],
  ])("loads %s", async (name, expected) => {
    expect((await loadProvider(name, { import: load })).name).toBe(expected);
  });

  it.each([
    ["absent", "@lango/crypto-absent"],
    ["@acme/absent", "@acme/absent"],
  ])("says how to install %s", async (name, packageName) => {
    const error = await failure(name);
    expect(error).toMatchObject({
      code: "ERR_PROVIDER_NOT_INSTALLED",
      message: `Provider package ${packageName} is not installed`,
      context: { provider: name, hint: `npm install ${packageName}` },
    });
    await expect(
      loadProvider(name, { import: load, installHint: (pkg) => `pnpm add -g ${pkg}` }),
    ).rejects.toMatchObject({ context: { hint: `pnpm add -g ${packageName}` } });
  });

  it.each(["hungry", "hollow", "empty", "throws"])(
    "does not call a broken package absent: %s",
    async (name) => {
      const error = await failure(name);
      expect(error.code).toBe("ERR_INTERNAL");
      expect(error.message).toBe(
        `Provider package @lango/crypto-${name} is installed but fails to load`,
      );
      expect(error.cause).toBeInstanceOf(Error);
    },
  );

  it.each(["nothing", "half", "liar"])(
    "refuses a package without the right export: %s",
    async (name) => {
      expect((await failure(name)).code).toBe("ERR_CONFIG");
    },
  );

  it.each([
    "",
    "..",
    "./local",
    "../local",
    "/etc/passwd",
    "file:///tmp/x.mjs",
    "node:fs",
    "data:text/javascript,1",
    "https://example.com/x.js",
    "@acme/kms/../../x",
    "@acme/..",
    "@acme/kms/deep",
    "Aws",
    "aws kms",
    "left.pad",
  ])("imports nothing for %j", async (name) => {
    const seen: string[] = [];
    const attempt = loadProvider(name, {
      import: async (specifier) => {
        seen.push(specifier);
      },
    });
    await expect(attempt).rejects.toBeInstanceOf(CryptoError);
    await expect(attempt).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    expect(seen).toEqual([]);
  });
});

import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  makeSoftHsm,
  PIN,
  type SoftHsm,
} from "../../../packages/crypto-pkcs11/test/support/softhsm.ts";
import { type Server, startServer } from "../../services/server.ts";
import { run } from "../../setup/step.mjs";
import { npmCommand } from "../../setup/tools.mjs";
import { requireService } from "../../vitest/require-service.ts";
import { pack } from "../published.ts";
import { type Registry, startRegistry } from "../registry.ts";

// What users do: install the packages as they are published, in each combination that matters, and use them.
const PROVIDERS = ["aws-kms", "gcp-kms", "azure-kv", "pkcs11"] as const;
const FOLDERS = [
  "apps/cli",
  "packages/crypto-core",
  ...PROVIDERS.map((name) => `packages/crypto-${name}`),
];
const SECRET = "a value that is stored";

const temporary = mkdtempSync(path.join(tmpdir(), "lango installing "));
const [npm, npmArgs] = npmCommand();
let registry: Registry;
let moto: Server | undefined;
let hsm: SoftHsm | undefined;

beforeAll(async () => {
  registry = await startRegistry(
    FOLDERS.map((folder) => ({ folder, tarball: pack(folder, temporary) })),
  );
}, 60_000);
afterAll(async () => {
  await registry?.stop();
  await moto?.stop();
  hsm?.remove();
  rmSync(temporary, { recursive: true, force: true });
}, 60_000);

/** Nothing of the machine's own but PATH, and no other registry than ours. */
const environment = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
  PATH: process.env["PATH"],
  HOME: temporary,
  npm_config_registry: registry.url,
  npm_config_cache: path.join(temporary, "npm-cache"),
  ...more,
});

async function succeeds(
  program: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv },
): Promise<string> {
  const { status, output } = await run(program, [...args], { env: environment(), ...options });
  expect(status, `${args.join(" ")}\n${output}`).toBe(0);
  return output;
}

const QUIET = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"];
const npmInstall = (cwd: string, ...args: string[]): Promise<string> =>
  succeeds(npm, [...npmArgs, "install", ...QUIET, ...args], { cwd });

function app(name: string): string {
  const folder = path.join(temporary, name);
  mkdirSync(folder);
  writeFileSync(path.join(folder, "package.json"), '{"name":"app","type":"module"}');
  return folder;
}

function homeWith(name: string, security: object): string {
  const home = path.join(temporary, name);
  mkdirSync(home, { mode: 0o700 });
  writeFileSync(path.join(home, "config.json"), JSON.stringify({ security }), { mode: 0o600 });
  return home;
}

/** Runs an installed lango; its status and output, both streams together. */
const lango = (
  script: string,
  home: string,
  args: readonly string[],
  more: NodeJS.ProcessEnv = {},
) =>
  run(process.execPath, [script, ...args], {
    cwd: temporary,
    env: environment({ LANGO_HOME: home, LANGO_PASSPHRASE: "correct horse battery", ...more }),
  });

async function good(...call: Parameters<typeof lango>): Promise<string> {
  const { status, output } = await lango(...call);
  expect(status, `${call[2].join(" ")}\n${output}`).toBe(0);
  return output;
}

const ONBOARD = ["onboard", "--kdf", "pbkdf2-sha256:1000", "--accept-weak-kdf"];

/** Onboards with a provider's key as default key, stores a value and reads it in another process. */
async function storesAndReads(script: string, home: string, env: NodeJS.ProcessEnv): Promise<void> {
  expect(await good(script, home, ONBOARD, env)).toContain("its default key is ");
  const file = path.join(temporary, "value");
  writeFileSync(file, SECRET);
  await good(script, home, ["security", "secrets", "set", "a", "--from-file", file], env);
  expect(await good(script, home, ["security", "secrets", "get", "a", "--reveal"], env)).toBe(
    SECRET,
  );
}

/** A key at Moto and the settings for it. */
async function onMoto(): Promise<{ readonly security: object; readonly env: NodeJS.ProcessEnv }> {
  const program = requireService("moto");
  moto ??= await startServer({
    program,
    args: (port) => ["-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)],
  });
  const answer = await fetch(moto.url, {
    method: "POST",
    headers: {
      "X-Amz-Target": "TrentService.CreateKey",
      "Content-Type": "application/x-amz-json-1.1",
      // By this Moto knows which service is meant.
      Authorization: "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/kms/aws4_request",
    },
    body: '{"KeyUsage":"ENCRYPT_DECRYPT","KeySpec":"SYMMETRIC_DEFAULT"}',
  });
  const { KeyMetadata } = (await answer.json()) as { KeyMetadata: { Arn: string } };
  return {
    security: {
      signer: { provider: "aws-kms" },
      kms: { region: "us-east-1", endpoint: moto.url, keyId: KeyMetadata.Arn },
    },
    env: { AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" },
  };
}

const versionsIn = (list: string): string[] =>
  [...list.matchAll(/^(\S+) +(?:0\.0\.0)\b/gm)].map(([, name = ""]) => name);

const topLevel = (folder: string): string[] =>
  readdirSync(path.join(folder, "node_modules")).filter((name) => !name.startsWith("."));

describe("the command line alone", () => {
  let folder = "";
  let script = "";
  const home = path.join(temporary, "home alone");

  beforeAll(async () => {
    folder = app("cli alone");
    await npmInstall(folder, "@lango/cli");
    script = path.join(folder, "node_modules/@lango/cli/dist/lango.js");
  }, 60_000);

  it("brings no provider, no checks and at most 40 MiB", () => {
    expect(readdirSync(path.join(folder, "node_modules/@lango"))).toEqual(["cli"]);
    expect(topLevel(folder).filter((name) => /aws|google|azure|pkcs11|vitest/.test(name))).toEqual(
      [],
    );
    const kib = execFileSync("du", ["-sk", path.join(folder, "node_modules")], {
      encoding: "utf8",
    });
    expect(Number.parseInt(kib, 10)).toBeLessThan(40 * 1024);
  });

  it("starts, keeps secrets and runs the conformance checks", async () => {
    expect(await good(script, home, ["--version"])).toBe("0.0.0\n");
    await good(script, home, ONBOARD);
    const file = path.join(temporary, "value alone");
    writeFileSync(file, SECRET);
    await good(script, home, ["security", "secrets", "set", "a", "--from-file", file]);
    expect(await good(script, home, ["security", "secrets", "get", "a", "--reveal"])).toBe(SECRET);
    expect(await good(script, home, ["security", "provider", "check", "local"])).toContain(
      "passed",
    );
  });

  it.each(PROVIDERS)("says with 69 how to install %s", async (name) => {
    const { status, output } = await lango(script, home, ["security", "provider", "check", name]);
    expect(status).toBe(69);
    expect(output).toContain(`npm install --prefix '${home}/providers' @lango/crypto-${name}`);
  });

  it("finds a provider that was installed by the command that it prints", async () => {
    const { security, env } = await onMoto();
    const own = homeWith("home with aws", security);
    const list = await good(script, own, ["security", "provider", "list"]);
    const command = /^aws-kms +not installed +(.+)$/m.exec(list)?.[1] ?? "";
    const words = command.replace(
      /^npm /,
      `'${npm}' ${npmArgs.map((word) => `'${word}'`).join(" ")} `,
    );
    await succeeds("sh", ["-c", `${words} ${QUIET.join(" ")}`], { cwd: temporary });
    expect(versionsIn(await good(script, own, ["security", "provider", "list"]))).toEqual([
      "local",
      "aws-kms",
    ]);
    await storesAndReads(script, own, env);
    const check = await good(script, own, ["security", "provider", "check", "aws-kms"], env);
    expect(check).toMatch(/\d+ passed/);
  });
});

describe("the command line with all providers", () => {
  let script = "";

  beforeAll(async () => {
    const folder = app("cli and all");
    await npmInstall(folder, "@lango/cli", ...PROVIDERS.map((name) => `@lango/crypto-${name}`));
    script = path.join(folder, "node_modules/@lango/cli/dist/lango.js");
  }, 120_000);

  it("lists them", async () => {
    const list = await good(script, temporary, ["security", "provider", "list"]);
    expect(versionsIn(list)).toEqual(["local", ...PROVIDERS]);
  });

  it("keeps a vault under a token", async () => {
    requireService("softhsm2");
    hsm ??= makeSoftHsm(["lango"]);
    const env = { ...hsm.env, LANGO_PKCS11_PIN: PIN };
    const { modulePath } = hsm;
    const security = {
      signer: { provider: "pkcs11" },
      kms: { pkcs11: { modulePath, slotId: 0, keyLabel: "default" } },
    };
    const home = homeWith("home with token", security);
    // The key comes first: a local vault makes it, and the second one has it as default.
    const maker = homeWith("home that makes a key", {
      signer: { provider: "local" },
      kms: security.kms,
    });
    await good(script, maker, ONBOARD, env);
    writeFileSync(path.join(maker, "config.json"), JSON.stringify({ security }));
    const create = [
      "keys",
      "create",
      "k",
      "--type",
      "encryption",
      "--provider",
      "pkcs11:default",
      "--create",
    ];
    await good(script, maker, create, env);
    await storesAndReads(script, home, env);
  });

  it.each([
    [
      "gcp-kms",
      { keyId: "projects/p/locations/l/keyRings/r/cryptoKeys/k", endpoint: "http://127.0.0.1:1" },
    ],
    [
      "azure-kv",
      { keyId: "k", azure: { vaultUrl: "https://lango-no-such-vault.vault.azure.net" } },
    ],
  ] as const)("loads the SDK of %s: what fails is the connection", async (name, kms) => {
    const home = homeWith(`home with ${name}`, {
      signer: { provider: name },
      kms: { ...kms, maxRetries: 0, timeoutPerOperation: "10s" },
    });
    const { status, output } = await lango(script, home, ONBOARD, {
      // No service of the machine is asked for credentials.
      ...{ GCE_METADATA_HOST: "127.0.0.1:1", METADATA_SERVER_DETECTION: "none" },
      ...{ AZURE_TENANT_ID: "t", AZURE_CLIENT_ID: "c", AZURE_CLIENT_SECRET: "s" },
      ...{ AZURE_AUTHORITY_HOST: "https://127.0.0.1:1", AZURE_TOKEN_CREDENTIALS: "prod" },
    });
    expect([5, 7, 78], output).toContain(status);
    expect(output).not.toMatch(/Cannot find|ERR_MODULE|unexpected/);
    expect(readdirSync(home)).toEqual(["config.json"]);
  });
});

it("works when it is installed for all of a user's shells", async () => {
  const { security, env } = await onMoto();
  const prefix = path.join(temporary, "global");
  await npmInstall(temporary, "--global", "--prefix", prefix, "@lango/cli");
  await npmInstall(temporary, "--global", "--prefix", prefix, "@lango/crypto-aws-kms");
  const script = realpathSync(path.join(prefix, "bin/lango"));
  await storesAndReads(script, homeWith("home of global", security), env);
}, 60_000);

it("works in the strict node_modules of pnpm, where nothing is hoisted", async () => {
  const { security, env } = await onMoto();
  const folder = app("pnpm");
  writeFileSync(
    path.join(folder, "pnpm-workspace.yaml"),
    "hoist: false\nignoreScripts: true\nstrictDepBuilds: false\n",
  );
  const store = path.join(temporary, "pnpm-store");
  const args = [
    "add",
    `--registry=${registry.url}`,
    `--store-dir=${store}`,
    "@lango/cli",
    ...PROVIDERS.map((name) => `@lango/crypto-${name}`),
    "@lango/crypto-core",
  ];
  await succeeds("pnpm", args, { cwd: folder });
  expect(readdirSync(path.join(folder, "node_modules"))).not.toContain("@aws-sdk");
  const script = realpathSync(path.join(folder, "node_modules/@lango/cli/dist/lango.js"));
  expect(versionsIn(await good(script, temporary, ["security", "provider", "list"]))).toEqual([
    "local",
    ...PROVIDERS,
  ]);
  await storesAndReads(script, homeWith("home of pnpm", security), env);
}, 120_000);

describe("one provider in an app of one's own", () => {
  let folder = "";
  beforeAll(async () => {
    folder = app("app with aws-kms");
    await npmInstall(folder, "@lango/crypto-core", "@lango/crypto-aws-kms");
  }, 60_000);

  it.each(["node24", "node22"])(
    "aws-kms: seals and opens on %s",
    async (version) => {
      const node = version === "node22" ? requireService("node22") : process.execPath;
      const { security, env } = await onMoto();
      expect(readdirSync(path.join(folder, "node_modules/@lango"))).toEqual([
        "crypto-aws-kms",
        "crypto-core",
      ]);
      const { kms } = security as { kms: { region: string; endpoint: string; keyId: string } };
      writeFileSync(
        path.join(folder, "app.js"),
        `import { createCryptoClient, createResilientProvider } from "@lango/crypto-core";
      import { createAwsKmsProvider } from "@lango/crypto-aws-kms";
      const { region, endpoint, keyId } = ${JSON.stringify(kms)};
      const provider = createResilientProvider(createAwsKmsProvider({ region, endpoint }));
      const client = createCryptoClient({ provider });
      const plaintext = new TextEncoder().encode("hello");
      const { ciphertext } = await client.encrypt({ keyId, plaintext });
      console.log(new TextDecoder().decode(await client.decrypt({ keyId, ciphertext })));
      await client.close();`,
      );
      const options = { cwd: folder, env: environment(env) };
      expect(await succeeds(node, ["app.js"], options)).toBe("hello\n");
    },
    60_000,
  );

  it.each(PROVIDERS)(
    "%s: is imported without its SDK, and has its types",
    async (name) => {
      const folder = app(`app with types of ${name}`);
      await npmInstall(folder, "@lango/crypto-core", `@lango/crypto-${name}`);
      const sdk = {
        "aws-kms": "@aws-sdk",
        "gcp-kms": "@google-cloud",
        "azure-kv": "@azure",
        pkcs11: "pkcs11js",
      }[name];
      writeFileSync(
        path.join(folder, "app.js"),
        `import { registerHooks } from "node:module";
      const seen = [];
      registerHooks({ load: (url, context, next) => (seen.push(url), next(url, context)) });
      const { provider } = await import("@lango/crypto-${name}");
      console.log(provider.name, seen.filter((url) => url.includes("/node_modules/${sdk}/")).length);`,
      );
      const options = { cwd: folder };
      expect(await succeeds(process.execPath, ["app.js"], options)).toBe(`${name} 0\n`);
      const types = path.join(folder, `node_modules/@lango/crypto-${name}/dist/index.d.ts`);
      expect(readFileSync(types, "utf8")).toContain("provider");
    },
    60_000,
  );
});

import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { newDatabaseUrl } from "../../../tooling/vitest/postgres.ts";
import { serve } from "./companion-support.ts";
import { addForeignSlot, configure, homeWith, WEAK } from "./provider-support.ts";
import {
  addSecrets,
  environment,
  expectOneFault,
  folder,
  lango,
  langoJson,
  SECRET,
  vaultHome,
} from "./support.ts";
import { Terminal } from "./terminal.ts";

const app = fileURLToPath(new URL("..", import.meta.url));
const program = [join(app, "dist/lango.js")];

/** The program where nothing is installed but what it cannot do without. */
function programAlone(): string {
  const place = folder();
  cpSync(join(app, "dist"), join(place, "dist"), { recursive: true });
  cpSync(join(app, "package.json"), join(place, "package.json"));
  const sqlite = "node_modules/better-sqlite3-multiple-ciphers";
  mkdirSync(join(place, "node_modules"));
  symlinkSync(realpathSync(join(app, sqlite)), join(place, sqlite));
  return join(place, "dist/lango.js");
}

describe("the program as it is published", () => {
  test("keeps a vault in PostgreSQL, whose driver it has along and reads only then", async () => {
    const env = { DATABASE_URL: await newDatabaseUrl() };
    const home = join(folder(), "home");
    const alone = [programAlone()];
    for (const args of [["onboard", ...WEAK], ["security", "status"], ["doctor"]]) {
      const ran = await lango(args, { home, env, program: alone });
      expect(ran.stderr).not.toContain("driver");
      expect(ran.stdout).not.toContain("driver");
    }
    const set = ["security", "secrets", "set", "a"];
    const stored = await lango(set, { home, env, input: SECRET, program: alone });
    expect(stored.code, stored.stderr).toBe(0);
    rmSync(join(dirname(alone[0] ?? ""), "pg.js"));
    const gone = await lango(set, { home, env, input: SECRET, program: alone });
    expect(gone.code).not.toBe(0);
    for (const args of [["security", "status"], ["doctor"], ["audit", "verify"]]) {
      const ran = await lango(args, { home: await vaultHome(), program: alone });
      expect([0, 10], ran.stderr).toContain(ran.code);
    }
  });

  test("finds the program of its thread wherever it is installed, and does without where it may have none", async () => {
    const home = await vaultHome();
    await addSecrets(home, 2_000);
    const alone = programAlone();
    const place = join(folder(), "a place # with 100% ?");
    renameSync(dirname(dirname(alone)), place);
    const bin = join(folder(), "lango");
    symlinkSync(join(place, "dist/lango.js"), bin);
    const tell = `process.on("worker", (worker) => worker.on("message", (reply) => {
      if (reply !== undefined) process._rawDebug("answered by " + worker.threadId);
    }));`;
    const told = ["--import", `data:text/javascript,${encodeURIComponent(tell)}`];
    const rotate = ["security", "rotate", "--yes"];
    const ran = await lango(rotate, { home, program: [...told, bin] });
    expect(ran.code, ran.stderr).toBe(0);
    // Each batch of 100 once sealed and once opened.
    expect(ran.stderr.match(/^answered by 1$/gm)).toHaveLength(42);

    const allowed = ["--allow-fs-read=*", "--allow-fs-write=*", "--allow-addons"];
    const strict = [...told, "--permission", ...allowed, bin];
    const without = await lango(rotate, { home, program: strict });
    expect(without.code, without.stderr).toBe(0);
    expect(without.stdout).toContain("sealed 2001 values again and checked 2001");
    expect(without.stderr).not.toContain("answered");
  });

  test("starts the commands without what few of them need", () => {
    const commands = readFileSync(join(app, "dist/commands.js"), "utf8");
    // A static import of a file of its own, such as the schema of the settings, would load it for every command: 20 ms.
    expect(commands).not.toContain("own-file:");
    // A dynamic import of what is no file of its own wraps all that this imports, which costs as much.
    expect(commands).not.toMatch(/__esm\(\{"(src|\.\.\/\.\.\/packages)\//);
  });

  test("shows the status without modules of Node that it does not use", async () => {
    const tell = 'process.on("exit", () => process._rawDebug(process.moduleLoadList.join("\\n")));';
    const told = ["--import", `data:text/javascript,${encodeURIComponent(tell)}`, ...program];
    const home = await vaultHome();
    const { stderr } = await lango(["security", "status"], { home, program: told });
    const loaded = stderr.split("\n");
    expect(loaded).toContain("NativeModule crypto");
    for (const late of ["net", "tty", "perf_hooks", "child_process", "internal/process/report"]) {
      expect(loaded).not.toContain(`NativeModule ${late}`);
    }
  });

  test("does its work: onboard, set, get, run, status, audit, check, settings", async () => {
    const home = join(folder(), "new");
    const run = (args: string[], input = "") => lango(args, { home, input, program });
    const expectGood = async (args: string[], stdout: RegExp, input = "") => {
      const ran = await run(args, input);
      expect(ran.code, `${args.join(" ")}: ${ran.stderr}`).toBe(0);
      expect(ran.stdout).toMatch(stdout);
    };
    await expectGood(["onboard"], /^Created a vault/);
    await expectGood(["security", "secrets", "set", "a"], /^stored a, version 1/, SECRET);
    await expectGood(["security", "secrets", "get", "a", "--reveal"], /^sk-proj/);
    await expectGood(["run", "--env", "T=a", "--", "sh", "-c", "echo $T"], /^\[SECRET:a\]$/m);
    await expectGood(["security", "status"], /^secrets +1$/m);
    await expectGood(["audit", "verify", "--rows"], /rows, head/);
    await expectGood(["settings", "set", "payment.limits.maxPerTx", "2.00"], /^set payment/);
    await expectGood(["settings", "schema"], /"onFailure"/);
    await expectGood(["security", "provider", "check", "local"], /passed/);
    await expectGood(
      ["keys", "create", "k", "--type", "signing", "--algorithm", "secp256k1"],
      /k1/,
    );
    await expectGood(["crypto", "sign", "--key", "k", "--base64"], /=\n$/, "message");
    await expectGood(["doctor"], /^ok +vault/m);
    const clientInfo = { name: "test", version: "1" };
    const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo };
    const opening = { jsonrpc: "2.0", id: 1, method: "initialize", params };
    await expectGood(["mcp", "serve"], /"name":"lango"/, `${JSON.stringify(opening)}\n`);
  });

  test("a provider that is not installed is 69 with the command, only where it is needed", async () => {
    const home = await vaultHome();
    configure(home, { signer: { provider: "pkcs11" }, kms: { keyId: "k" } });
    const alone = { home, program: [programAlone()] };
    const got = await lango(["security", "secrets", "get", "api/key", "--reveal"], alone);
    expect(got.stdout, got.stderr).toBe(SECRET);
    for (const args of [
      ["security", "provider", "migrate", "--to", "pkcs11:k", "--yes"],
      ["keys", "create", "k", "--type", "encryption", "--provider", "pkcs11:k"],
      ["crypto", "encrypt", "--key", "pkcs11:k"],
      ["security", "provider", "check", "pkcs11:k"],
    ]) {
      const ran = await lango(args, { ...alone, input: "x" });
      expectOneFault(ran, 69, /@lango\/crypto-pkcs11 is not installed/);
      expect(ran.stderr).toContain(`npm install --prefix ${home}/providers @lango/crypto-pkcs11`);
    }
    const fresh = homeWith({ signer: { provider: "pkcs11" }, kms: { keyId: "k" } });
    const onboarded = await lango(["onboard", ...WEAK], { ...alone, home: fresh });
    expectOneFault(onboarded, 69, /not installed/);
    const { stdout } = await lango(["security", "provider", "list"], alone);
    expect(stdout).toMatch(/^rpc +not installed +npm install --prefix .*@lango\/crypto-rpc$/m);
  });

  test.each([
    ["rpc:data", { signer: { rpcUrl: "https://127.0.0.1:1" } }],
    ["aws-kms:alias/k", { kms: { region: "us-east-1" } }],
    ["gcp-kms:projects/p/locations/l/keyRings/r/cryptoKeys/k", { signer: { provider: "gcp-kms" } }],
    ["azure-kv:k", { kms: { azure: { vaultUrl: "https://k.vault.azure.net" } } }],
    ["pkcs11:object=k", { kms: { pkcs11: { modulePath: "/none.so" } } }],
  ])(
    "a slot of %s opens nothing without its package: 69 and its name, and the next source opens",
    async (uri, security) => {
      const home = await vaultHome();
      await addForeignSlot(home, uri);
      configure(home, security);
      const alone = { home, program: [programAlone()] };
      const verify = ["--verbose", "audit", "verify"];
      const name = `@lango/crypto-${uri.slice(0, uri.indexOf(":"))}`;
      const only = await lango([...verify, "--unlock-with", "provider"], alone);
      expectOneFault(only, 69, new RegExp(`${name} is not installed`));
      expect(only.stderr).toContain(`npm install --prefix ${home}/providers ${name}`);
      expect(only.stderr).toContain(`from provider slot ${uri}`);
      const next = await lango(verify, alone);
      expect(next.code, next.stderr).toBe(0);
      expect(next.stderr).toMatch(new RegExp(`not by provider slot .*${name} is not installed`));
      expect(next.stderr).toMatch(/unlocked by LANGO_PASSPHRASE/);
    },
  );

  test("pairs and serves: certificates, WebSockets and discovery are in it", async () => {
    const [agent, companion] = [await vaultHome(), await vaultHome()];
    const served = await serve(companion, {
      program,
      pair: async (code, url) => {
        const args = ["companion", "pair", "--url", url, "--code-fd", "0", "--name", "laptop"];
        const ran = await lango(args, { home: agent, input: code, program });
        expect(ran.code, ran.stderr).toBe(0);
      },
    });
    await served.see('paired with the agent "laptop"');
    expect(await served.stop()).toBe(0);
  });

  test("reports faults as the sources do", async () => {
    const home = await vaultHome();
    const env = { LANGO_PASSPHRASE: "a wrong one" };
    const args = ["security", "secrets", "get", "api/key", "--reveal"];
    expectOneFault(await lango(args, { home, env, program }), 4, /does not open the vault/);
    const { document } = await langoJson(["securty"], { home, program });
    expect(document.error?.hint).toContain("lango security");
  });

  test("knows what crosses its files: Ctrl-C at a question, and the umask of a child", async () => {
    const home = await vaultHome();
    for (const [args, question] of [
      [["onboard", "--home", join(folder(), "new")], "Enter encryption passphrase (min"],
      [["security", "secrets", "set", "x"], "Enter encryption passphrase: "],
      [["security", "secrets", "list", "--home", folder()], "Create it? [y/N] "],
      [["security", "migrate-passphrase"], "encryption passphrase: "],
    ] as const) {
      const env = environment(home, { LANGO_PASSPHRASE: undefined });
      const terminal = new Terminal(process.execPath, [...program, ...args], env);
      await terminal.see(question);
      terminal.type("\u0003");
      expect(await terminal.end(), args.join(" ")).toMatchObject({ exitCode: 130 });
      expect(terminal.output).not.toContain("lango:");
    }
    const ran = await lango(["run", "--", "sh", "-c", "umask"], { home, program });
    expect(Number.parseInt(ran.stdout, 8)).toBe(process.umask());
  });

  test.each(["SIGUSR1", "SIGUSR2", "SIGTERM"] as const)("run passes on %s", async (signal) => {
    const script = `trap 'echo got it; exit 5' ${signal.slice(3)}; echo ready; while :; do sleep 0.1; done`;
    const child = spawn(process.execPath, [...program, "run", "--", "sh", "-c", script], {
      env: environment(await vaultHome()),
      stdio: ["ignore", "pipe", "ignore"],
    });
    let out = "";
    child.stdout.on("data", (chunk) => {
      out += chunk;
      if (String(chunk).includes("ready")) child.kill(signal);
    });
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(5);
    expect(out).toBe("ready\ngot it\n");
  });

  test("takes everything along but native packages", () => {
    const imports = readdirSync(join(app, "dist"))
      .filter((name) => name.endsWith(".js"))
      .flatMap((name) => [
        ...readFileSync(join(app, "dist", name), "utf8").matchAll(
          /(?:\bfrom|\bimport\(|\brequire\(|^import)\s*"([^."][^"]*)"/gm,
        ),
      ])
      .map(([, specifier]) => specifier);
    // The database driver is named by a constant of the store.
    const packages = imports.filter((specifier = "") => /^@?[a-z][\w./-]*$/.test(specifier));
    expect([...new Set(packages)].sort()).toEqual(["@lydell/node-pty", "@node-rs/argon2"]);
  });

  test("keeps compiled code in a private folder, or nowhere", async () => {
    const cache = folder();
    await lango(["--version"], { program, env: { XDG_CACHE_HOME: cache } });
    expect(statSync(join(cache, "lango")).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(cache, "lango")).length).toBeGreaterThan(0);
    const readOnly = "/proc/nothing/can/be/made/here";
    const ran = await lango(["--version"], { program, env: { XDG_CACHE_HOME: readOnly } });
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    const open = folder();
    execFileSync("sh", ["-c", `mkdir -m 0777 "${open}/lango"`]);
    await lango(["--version"], { program, env: { XDG_CACHE_HOME: open } });
    expect(readdirSync(join(open, "lango"))).toEqual([]);
  });

  test("an old Node gets one sentence", () => {
    const old = ["/usr/bin/node", "/usr/local/bin/node"].find(isOld);
    const command = old ?? process.execPath;
    // Where no old Node is installed, this one says that it is old.
    const flags = old === undefined ? ["--import", PRETEND] : [];
    const { status, stderr, stdout } = spawnSync(command, [...flags, ...program, "--version"], {
      encoding: "utf8",
    });
    expect(stderr).toMatch(/^lango needs Node 24\.11 or newer; this is \d+\.\d+\.\d+\n$/);
    expect(status).toBe(1);
    expect(stdout).toBe("");
  });
});

const PRETEND =
  'data:text/javascript,Object.defineProperty(process.versions, "node", { value: "20.1.0" })';

function isOld(path: string): boolean {
  if (!existsSync(path)) {
    return false;
  }
  const [major = 0, minor = 0] = execFileSync(path, ["--version"], { encoding: "utf8" })
    .slice(1)
    .split(".")
    .map(Number);
  return major < 24 || (major === 24 && minor < 11);
}

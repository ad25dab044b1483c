import { spawn } from "node:child_process";
import { beforeAll, describe, expect, test } from "vitest";
import { COMMANDS } from "../src/table/index.ts";
import {
  environment,
  expectOneFault,
  folder,
  LANGO,
  lango,
  langoJson,
  sharedVaultHome,
} from "./support.ts";

let home: string;
beforeAll(async () => {
  home = await sharedVaultHome();
});

describe("the command table", () => {
  test.each(COMMANDS.map((command) => [command.path, command] as const))(
    "%s loads, and its help starts with examples",
    async (path, command) => {
      expect(typeof (await command.load()).run).toBe("function");
      expect(command.examples.length).toBeGreaterThan(0);
      for (const example of command.examples) {
        expect(example).toContain(`lango ${path}`);
      }
    },
  );

  test("help names every command, at each level", async () => {
    const { stdout, code } = await lango(["--help"]);
    expect(code).toBe(0);
    for (const { path } of COMMANDS) {
      expect(stdout).toContain(`\n  ${path}`);
    }
    expect((await lango([])).stdout).toBe(stdout);
    expect((await lango(["security", "secrets", "--help"])).stdout).toContain(
      "secrets rollback NAME",
    );
    const one = (await lango(["security", "secrets", "set", "-h"])).stdout;
    expect(one.indexOf("Examples:")).toBeLessThan(one.indexOf("Options:"));
    expect(one).toContain("--if-version N");
    const policy = (await lango(["approvals", "policy", "--help"])).stdout;
    expect(policy).toContain("the tools that need approval (dangerous, all, configured, none)");
    expect(policy).toContain("--color WHEN  auto, always or never\n");
    expect(one).toContain("--passphrase-fd N");
    expect((await langoJson(["run", "--help"])).document.data.help).toContain("-- CMD [ARG…]");
  });

  test("--version needs no vault", async () => {
    expect(await lango(["--version"])).toMatchObject({ code: 0, stdout: "0.0.0\n", stderr: "" });
    expect((await langoJson(["--version"])).document.data).toEqual({ version: "0.0.0" });
  });
});

describe("what was mistyped is 2 and says what was meant", () => {
  test.each([
    [["securty"], /Unknown command "securty"/, 'Did you mean "lango security"?'],
    [["security", "secret"], /Unknown command/, 'Did you mean "lango security secrets"?'],
    [["security", "secrets", "ste", "x"], /Unknown command/, '"lango security secrets set"?'],
    [["--passphrase-fd", "9", "audit", "verify"], /--passphrase-fd before the command/, "behind"],
    [
      ["-q", "--rows=1", "audti"],
      /Unknown option --rows before the command/,
      "audit verify --rows",
    ],
    [["settings", "get", "a", "b"], /takes 1 word, 2 were given/, "--help"],
    [["serve"], /Unknown command "serve"/, 'Run "lango --help"'],
    [["security", "secrets", "list", "--jsno"], /Unknown option --jsno/, "Did you mean --json?"],
    [["security", "status", "--frobnicate"], /Unknown option --frobnicate/, "--help"],
    [["security", "status", "-z"], /Unknown option -z/, "--help"],
    [["security", "status", "--json=1"], /--json takes no value/, "--help"],
    [["security", "status", "--home"], /--home needs a value/, "--help"],
    [["security", "status", "--home", "--json"], /--home needs a value/, "--home=--json"],
    [["security", "status", "--home", "a", "--home", "b"], /more than once/, "--help"],
    [["security", "status", "--color", "blue"], /one of auto, always, never/, "--help"],
    [["security", "status", "extra"], /takes no words, 1 was given/, "--help"],
    [["security", "secrets", "get"], /needs NAME/, "--help"],
    [["settings"], /needs a subcommand: get, set, list, schema/, "--help"],
    [["security"], /needs a subcommand: status, migrate-passphrase, secrets/, "--help"],
    [["crypto", "hash", "m"], /takes no words, 1 was given/, "Did you mean --in FILE?"],
    [
      ["keys", "create", "x", "--type", "signing", "--algorithm", "rsa"],
      /one of aes-256-gcm, /,
      "",
    ],
    [["completion", "tcsh"], /no completion for "tcsh"/, "bash, zsh or fish"],
  ])("%j", async (args, line, hint) => {
    const ran = await lango(args, { home });
    if (!args.includes("--json")) {
      expectOneFault(ran, 2, line);
      expect(ran.stderr).toContain(hint);
    }
    const { document, code } = await langoJson(args, { home });
    expect(code).toBe(2);
    expect(document).toMatchObject({ ok: false, error: { code: "ERR_INVALID_ARGUMENT" } });
    expect(document.error?.message).toMatch(line);
  });

  test.each([
    ["help", ["--help"]],
    ["help crypto", ["crypto", "--help"]],
    ["help settings get", ["settings", "get", "--help"]],
    ["version", ["--version"]],
  ])("lango %s is as %j", async (words, option) => {
    const [asWord, asOption] = [await lango(words.split(" ")), await lango(option)];
    expect(asWord).toMatchObject({ code: 0, stderr: "" });
    expect(asWord.stdout).toBe(asOption.stdout);
    expect(asWord.stdout).not.toBe("");
  });

  test.each([
    [["get", "security.keyrin.enabled"], "Did you mean security.keyring.enabled?"],
    [["set", "keyring.enabled", "true"], "Did you mean security.keyring.enabled?"],
    [["get", "nothing.of.the.kind"], 'See "lango settings list"'],
  ])("settings %j is 3", async (args, hint) => {
    const ran = await lango(["settings", ...args], { home });
    expectOneFault(ran, 3, /There is no setting/);
    expect(ran.stderr).toContain(hint);
  });

  test("run without -- is 125 and says where it belongs", async () => {
    const ran = await lango(["run", "--env", "T=tok", "sh", "-c", "true"], { home });
    expectOneFault(ran, 125, /needs "-- CMD/);
    expect(ran.stderr).toContain("Put -- before the command");
  });

  test("surplus words are counted and not shown: one may be a secret", async () => {
    const ran = await lango(["security", "secrets", "set", "a", "b", "sk-pasted"], { home });
    expect(ran.code).toBe(2);
    expect(ran.stdout + ran.stderr).not.toContain("sk-pasted");
  });
});

describe("where there is no vault", () => {
  const needing = COMMANDS.map(({ path }) => path).filter(
    (path) =>
      !/^(onboard|run|settings.*|doctor|completion|hook|crypto hash|backup (restore|verify)|security provider .*)$/.test(
        path,
      ),
  );
  test.each(needing)("%s is 4 and names onboard", async (path) => {
    const command = COMMANDS.find((row) => row.path === path)!;
    const words = (command.positionals ?? []).map(() => "x");
    const more: Record<string, string[]> = {
      scan: ["."],
      "keys create": ["--type", "signing"],
      "store migrate": ["--to", "sqlite:"],
      "crypto sign": ["--key", "x"],
      "crypto verify": ["--key", "x", "--signature", "/dev/null"],
    };
    const none = folder();
    const args = [...path.split(" "), ...words, ...(more[path] ?? [])];
    const ran = await lango(args, { home: none });
    const stderr = ran.stderr.replace(/^warning: A value.*\n/, "");
    expectOneFault({ ...ran, stderr }, 4, /There is no vault in/);
    expect(ran.stderr).toContain("lango onboard");
  });
});

describe("streams", () => {
  test("--quiet silences notes, not warnings and not data", async () => {
    const ran = await lango(["run", "--quiet", "--", "true"], { home });
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    const warned = await lango(["security", "secrets", "set", "x", "v", "-q", "--dry-run"], {
      home,
    });
    expect(warned.stderr).toContain("warning:");
    expect(warned.stdout).not.toBe("");
  });

  test("-v says what unlocked the vault, on stderr", async () => {
    const ran = await lango(["security", "secrets", "history", "api/key", "-v"], { home });
    expect(ran.stderr).toMatch(/^unlocked by LANGO_PASSPHRASE\n/);
    expect(ran.stderr).toContain("not by");
  });

  test("global options stand before, between and after the words", async () => {
    for (const args of [
      ["--home", home, "security", "secrets", "list", "--json"],
      ["security", "--home", home, "secrets", "--json", "list"],
      ["security", "secrets", "list", `--home=${home}`, "--json"],
    ]) {
      const ran = await lango(args, { home: "/nonexistent" });
      expect(JSON.parse(ran.stdout).ok, ran.stdout).toBe(true);
    }
  });

  test("colours follow --color, NO_COLOR and FORCE_COLOR, and never stand in JSON", async () => {
    const sequence = "\u001b[";
    const args = ["doctor"];
    const stdout = async (flags: string[], env: Record<string, string>) =>
      (await lango([...args, ...flags], { home, env })).stdout;
    expect(await stdout([], {})).not.toContain(sequence);
    expect(await stdout(["--color", "always"], { NO_COLOR: "1" })).toContain(sequence);
    expect(await stdout([], { FORCE_COLOR: "1" })).toContain(sequence);
    expect(await stdout([], { FORCE_COLOR: "1", NO_COLOR: "1" })).not.toContain(sequence);
    expect(await stdout(["--color=never"], { FORCE_COLOR: "1" })).not.toContain(sequence);
    expect(await stdout(["--json"], { FORCE_COLOR: "1" })).not.toContain(sequence);
  });

  test("a reader that goes away ends the command quietly", async () => {
    const child = spawn(process.execPath, [...LANGO, "crypto", "hash", "--help"], {
      env: environment(undefined),
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.stdout.destroy();
    let stderr = "";
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(141);
    expect(stderr).toBe("");
  });
});

describe("an error nobody expected", () => {
  // A folder where a file belongs is something that no part has words for.
  const broken = { env: { LANGO_HOME: "/dev/null/x" } };
  test("is one line without a stack, and a stack with --debug", async () => {
    const ran = await lango(["crypto", "hash", "--in", "/proc/self/mem"], broken);
    expectOneFault(ran, 1, /^lango: Cannot read \/proc\/self\/mem: EIO$/);
    const debug = await lango(["crypto", "hash", "--in", "/proc/self/mem", "--debug"], broken);
    expect(debug.stderr).toMatch(/^\s*CryptoError: Cannot read.*\n\s+at /);
    const { document } = await langoJson(["crypto", "hash", "--in", "/proc/self/mem"], broken);
    expect(document.error?.code).toBe("ERR_INTERNAL");
  });
});

describe("completion", () => {
  const complete = async (...words: string[]): Promise<string[]> => {
    const { stdout } = await lango(["completion", "bash"]);
    const script = `${stdout}
COMP_WORDS=(lango ${words.map((word) => `'${word}'`).join(" ")})
COMP_CWORD=${words.length}
_lango
printf '%s\\n' "\${COMPREPLY[@]}"`;
    const child = spawn("bash", ["--norc", "-c", script]);
    let out = "";
    child.stdout.on("data", (chunk) => {
      out += chunk;
    });
    await new Promise((resolve) => child.on("close", resolve));
    return out.trim().split("\n");
  };

  test("bash completes commands and options", async () => {
    expect(await complete("")).toContain("onboard");
    expect(await complete("sec")).toEqual(["security"]);
    expect(await complete("security", "secrets", "")).toEqual([
      "set",
      "get",
      "list",
      "history",
      "rollback",
      "delete",
      "allow",
    ]);
    expect(await complete("security", "secrets", "set", "name", "--cr")).toEqual(["--create-only"]);
    expect(await complete("--json", "keys", "l")).toEqual(["list"]);
    expect(await complete("completion", "z")).toEqual(["zsh"]);
    expect(await complete("keys", "create", "x", "--algorithm", "ed")).toEqual(["ed25519"]);
    expect(await complete("keys", "create", "x", "--type", "s")).toEqual(["signing"]);
    // Nothing of ours: the shell offers files.
    for (const option of ["--in", "--out"]) {
      expect(await complete("crypto", "encrypt", option, "")).toEqual([""]);
    }
    expect(await complete("security", "secrets", "set", "x", "--from-file", "")).toEqual([""]);
    expect(await complete("run", "--env", "A=b", "--", "printf")).toContain("printf");
    expect(await complete("run", "--", "printf", "")).toEqual([""]);
  });

  test.each(["zsh", "fish"])("%s gets a script that names every command", async (shell) => {
    const { stdout, code } = await lango(["completion", shell]);
    expect(code).toBe(0);
    for (const { path } of COMMANDS) {
      expect(stdout).toContain(`"${path}"`);
    }
  });
});

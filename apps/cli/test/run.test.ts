import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import {
  environment,
  expectOneFault,
  fileWith,
  folder,
  LANGO,
  lango,
  langoJson,
  PASSPHRASE,
  SECRET,
  sharedVaultHome,
} from "./support.ts";

// One vault for the file: running a command changes nothing but the log.
let home: string;
beforeAll(async () => {
  home = await sharedVaultHome();
});

const run = (args: readonly string[], options: Parameters<typeof lango>[1] = {}) =>
  lango(["run", ...args], { home, ...options });
const node = (script: string) => ["--", process.execPath, "-e", script];

describe("run", () => {
  test("puts the secret into the child's environment, and only there", async () => {
    const report = fileWith("");
    const script = `
      const fs = require("node:fs");
      const at = (pid, file) => fs.readFileSync("/proc/" + pid + "/" + file, "latin1");
      fs.writeFileSync(${JSON.stringify(report)}, JSON.stringify({
        value: process.env.TOKEN,
        args: at("self", "cmdline"),
        environ: at("self", "environ"),
        parentArgs: at(process.ppid, "cmdline"),
        parentEnviron: at(process.ppid, "environ"),
      }))`;
    const ran = await run(["--env", "TOKEN=api/key", ...node(script)], {
      env: {
        LANGO_KEYFILE: fileWith(PASSPHRASE),
        LANGO_PKCS11_PIN: "1234-pin",
        LANGO_HOME: home,
        ADMIN_TOKEN: "a-servers-token",
        ENCRYPTION_KEY_V2_FILE: "/run/a-servers-key",
      },
    });
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stdout + ran.stderr).toBe("");
    const seen = JSON.parse(readFileSync(report, "utf8"));
    expect(seen.value).toBe(SECRET);
    expect(seen.environ).toContain(`TOKEN=${SECRET}`);
    expect(seen.environ).not.toContain(PASSPHRASE);
    expect(seen.environ).not.toMatch(/LANGO_PASSPHRASE|LANGO_KEYFILE|LANGO_PKCS11_PIN|1234-pin/);
    expect(seen.environ).not.toMatch(/a-servers/);
    expect(seen.environ).toContain("LANGO_HOME=");
    expect(seen.args + seen.parentArgs + seen.parentEnviron).not.toContain(SECRET);
  });

  test("closes the descriptor that the passphrase came from", async () => {
    const script = "[ ! -e /proc/$$/fd/3 ]";
    const child = spawn(
      process.execPath,
      [...LANGO, "run", "--passphrase-fd", "3", "--env", "T=api/key", "--", "sh", "-c", script],
      {
        env: environment(home, { LANGO_PASSPHRASE: undefined }),
        stdio: ["ignore", "ignore", "ignore", "pipe"],
      },
    );
    (child.stdio[3] as NodeJS.WritableStream).end(PASSPHRASE);
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(0);
  });

  test("hands on stdin, arguments, working directory and umask as they are, without a shell", async () => {
    const script = `
      const out = [process.argv.slice(1), process.cwd(), process.umask().toString(8)];
      process.stdin.on("data", (d) => out.push(String(d)));
      process.stdin.on("end", () => console.log(JSON.stringify(out)))`;
    const words = ["$HOME", "; echo no", "a b", "--json", "*"];
    const ran = await run([...node(script), ...words], { input: "to the child", cwd: "/" });
    const [argv, cwd, umask, input] = JSON.parse(ran.stdout);
    expect(argv).toEqual(words);
    expect(cwd).toBe("/");
    expect(umask).toBe(process.umask().toString(8));
    expect(input).toBe("to the child");
  });

  test.each([0, 1, 7, 10, 125, 255])("passes on exit code %d", async (code) => {
    expect((await run(node(`process.exit(${code})`))).code).toBe(code);
  });

  test.each([
    ["SIGKILL", 137],
    ["SIGTERM", 143],
    ["SIGINT", 130],
    ["SIGSEGV", 139],
  ])("reports a child that ended by %s as %d", async (signal, code) => {
    expect((await run(node(`process.kill(process.pid, "${signal}")`))).code).toBe(code);
  });

  test.each(["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT"] as const)(
    "passes %s on to the child",
    async (signal) => {
      const script = `process.on("${signal}", () => { console.log("got it"); process.exit(5); });
        console.log("ready"); setInterval(() => {}, 1000)`;
      const child = spawn(process.execPath, [...LANGO, "run", ...node(script)], {
        env: environment(home),
        stdio: ["ignore", "pipe", "ignore"],
      });
      let out = "";
      child.stdout.on("data", (chunk) => {
        out += chunk;
        if (String(chunk).includes("ready")) child.kill(signal);
      });
      const code = await new Promise((resolve) => child.on("close", resolve));
      expect(code).toBe(5);
      expect(out).toBe("ready\ngot it\n");
    },
  );

  test("127 and 126 for what cannot be started, 125 for its own failures", async () => {
    expectOneFault(await run(["--", "/nonexistent/command"]), 127, /no such command/);
    expectOneFault(await run(["--", "no-such-command"]), 127, /no such command/);
    const script = fileWith("#!/bin/sh\n");
    chmodSync(script, 0o600);
    expectOneFault(await run(["--", script]), 126, /cannot be executed/);
    expectOneFault(await run(["--env", "T=none", "--", "true"]), 125, /none/);
    expectOneFault(
      await run(["--", "true"], { env: { LANGO_PASSPHRASE: "a wrong one" } }),
      125,
      /not open/,
    );
    expectOneFault(await run(["true"]), 125, /-- CMD|takes no words/);
    expectOneFault(await run([]), 125, /needs "-- CMD/);
    expectOneFault(await run(["--", "true"], { home: "/nonexistent" }), 125, /no vault/);
  });

  test.each([
    ["TOKEN", /takes NAME=SECRET/],
    ["1X=api/key", /takes NAME=SECRET/],
    ["=api/key", /takes NAME=SECRET/],
    ["T=", /takes NAME=SECRET/],
    ["LANGO_PASSPHRASE=api/key", /never reaches a command/],
  ])("refuses --env %s", async (assignment, line) => {
    expectOneFault(await run(["--env", assignment, "--", "true"]), 125, line);
  });

  test("refuses a variable given twice, and a value that is no text", async () => {
    const twice = ["--env", "T=api/key", "--env", "T=api/key", "--", "true"];
    expectOneFault(await run(twice), 125, /gives T twice/);
    for (const input of [new Uint8Array([255]), "a\u0000b"]) {
      await lango(["security", "secrets", "set", "bytes"], { home, input });
      expectOneFault(await run(["--env", "T=bytes", "--", "true"]), 125, /no text/);
    }
  });

  test("its failures are documents with --json, its child's output is not touched", async () => {
    const failed = await langoJson(["run", "--env", "T=none", "--", "true"], { home });
    expect(failed).toMatchObject({ code: 125, document: { error: { code: "ERR_NOT_FOUND" } } });
    const ran = await run(["--json", ...node("console.log(1)")]);
    expect(ran).toMatchObject({ code: 0, stdout: "1\n", stderr: "" });
  });

  test("is in the log, with the secret's name", async () => {
    await run(["--env", "T=api/key", "--", "echo"]);
    // The last is the reading of all secrets for the scanner.
    const { document } = await langoJson(["audit", "tail"], { home });
    const actions = document.data.events.slice(-3).map((event: { action: string }) => event.action);
    expect(actions).toEqual(["secret.get", "run.start", "secret.load"]);
    expect(JSON.stringify(document)).not.toContain(SECRET);
    expect(readFileSync(`${home}/lango.db`).includes(SECRET)).toBe(false);
  });

  describe("its row in the log", () => {
    const started = async () => {
      const { document } = await langoJson(["audit", "tail"], { home });
      expect(JSON.stringify(document)).not.toContain(SECRET);
      return document.data.events.findLast(
        (each: { action: string }) => each.action === "run.start",
      ).detail as string;
    };
    const sha256 = (text: string | Buffer) => createHash("sha256").update(text).digest("hex");

    test("has the program's full path, and a hash of the words as the system shows them", async () => {
      const report = fileWith("");
      const words = [
        "-e",
        `fs.writeFileSync("${report}", fs.readFileSync("/proc/self/cmdline"))`,
        "ü",
        "",
      ];
      const ran = await run(["--", "node", ...words], {
        env: { PATH: `${dirname(process.execPath)}:${process.env["PATH"]}` },
      });
      expect(ran.code, ran.stderr).toBe(0);
      const cmdline = readFileSync(report);
      expect(cmdline.toString()).toBe(["node", ...words, ""].join("\0"));
      expect(await started()).toBe(`${process.execPath}, 4 words, sha256:${sha256(cmdline)}`);
    });

    test("has no value, whether it was typed or put in for a reference", async () => {
      const typed = ["sh", "-c", ":", SECRET];
      await run(["--", ...typed]);
      expect(await started()).not.toContain(SECRET);
      const words = ["-c", ":", "{{secret:api/key}}"];
      await run(["--allow-argv", "--", "sh", ...words]);
      const hash = sha256(["sh", ...words, ""].join("\0"));
      expect(await started()).toMatch(new RegExp(`^/.*/sh, 3 words, sha256:${hash}$`));
    });

    test("fits for the longest path and many words", async () => {
      const deep = join(
        folder(),
        "ä".repeat(100),
        "b".repeat(200),
        "c".repeat(200),
        "d".repeat(250),
      );
      mkdirSync(join(deep, "e".repeat(250)), { recursive: true });
      const script = join(deep, "e".repeat(250), "f".repeat(200));
      writeFileSync(script, "#!/bin/sh\nexit 6\n", { mode: 0o700 });
      const ran = await run(["--", script, ...Array.from({ length: 5000 }, () => "word")]);
      expect(ran.code, ran.stderr).toBe(6);
      expect(await started()).toMatch(/^….*\/e+\/f+, 5000 words, sha256:[0-9a-f]{64}$/);
    });
  });
});

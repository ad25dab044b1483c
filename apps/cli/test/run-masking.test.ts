import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import {
  environment,
  expectOneFault,
  fileWith,
  folder,
  LANGO,
  lango,
  langoJson,
  SECRET,
  sharedVaultHome,
} from "./support.ts";

let home: string;
beforeAll(async () => {
  home = await sharedVaultHome();
});

const run = (args: readonly string[], options: Parameters<typeof lango>[1] = {}) =>
  lango(["run", ...args], { home, ...options });
const node = (script: string) => ["--", process.execPath, "-e", script];
const start = (args: readonly string[], stdout: "pipe" | "ignore" = "pipe") =>
  spawn(process.execPath, [...LANGO, "run", ...args], {
    env: environment(home),
    stdio: ["ignore", stdout, "pipe"],
  });

/** The secret as programs write it, each a form of its own. */
const escaped = (prefix: string) =>
  [...Buffer.from(SECRET)].map((byte) => `${prefix}${byte.toString(16).padStart(2, "0")}`).join("");
const FORMS: Readonly<Record<string, string>> = {
  raw: SECRET,
  capitals: SECRET.toUpperCase(),
  base64: Buffer.from(SECRET).toString("base64"),
  "base64, 1 byte in": Buffer.from(`:${SECRET}`).toString("base64"),
  "base64, 2 bytes in": Buffer.from(`::${SECRET}`).toString("base64"),
  base64url: Buffer.from(SECRET).toString("base64url"),
  hex: Buffer.from(SECRET).toString("hex"),
  "hex escapes": escaped("\\x"),
  percent: escaped("%"),
  unicode: escaped("\\u00"),
  html: [...SECRET].map((char) => `&#${char.codePointAt(0)};`).join(""),
  "utf-16": Buffer.from(SECRET, "utf16le").toString("latin1"),
  "quoted-printable": escaped("="),
};
/** What of a form no mask may leave: base64 at its edges holds bits of the neighbours. */
const core = (form: string) => form.slice(4, -4);

describe("the output of a command", () => {
  test.each(Object.entries(FORMS))("is masked: %s, on both streams", async (_, form) => {
    const bytes = Buffer.from(form, "latin1").toString("base64");
    const ran = await run(
      node(`const form = Buffer.from("${bytes}", "base64");
        process.stdout.write(Buffer.concat([Buffer.from("<"), form, Buffer.from(">")]));
        process.stderr.write(form);`),
    );
    expect(ran.code).toBe(0);
    expect(ran.bytes.toString("latin1")).not.toContain(core(form));
    expect(ran.stdout).toMatch(/^<.{0,3}\[SECRET:api\/key\].{0,3}>$/);
    expect(ran.stderr).toMatch(/^.{0,3}\[SECRET:api\/key\].{0,3}$/);
  });

  test("is masked when it comes one byte at a time, and in colours", async () => {
    const script = `const { setTimeout: wait } = require("node:timers/promises");
      (async () => {
        for (const char of process.env.TOKEN) { process.stdout.write(char); await wait(15); }
        for (const char of process.env.TOKEN) process.stderr.write("\\x1b[3" + (char.charCodeAt(0) % 8) + "m" + char);
        process.stderr.write("\\x1b[0m");
      })()`;
    const ran = await run(["--env", "TOKEN=api/key", ...node(script)]);
    expect(ran.stdout).toBe("[SECRET:api/key]");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours
    expect(ran.stderr).toMatch(/^(\x1b\[3\dm)?\[SECRET:api\/key\]\x1b\[0m$/);
  });

  test("is masked although the command was not given the secret", async () => {
    const ran = await run(["--", "printf", "%s!", SECRET]);
    expect(ran.stdout).toBe("[SECRET:api/key]!");
  });

  test("is the same to the last byte where there is no secret", async () => {
    const bytes = randomBytes(3_000_000);
    const file = fileWith(bytes);
    const ran = await run(["--", "cat", file]);
    const hash = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");
    expect(hash(ran.bytes)).toBe(hash(bytes));
  });

  test("comes through pipes that a program can open anew", async () => {
    const ran = await run(["--", "sh", "-c", "echo out > /dev/stdout; echo err > /dev/stderr"]);
    expect(ran).toMatchObject({ code: 0, stdout: "out\n", stderr: "err\n" });
  });

  test("does not pile up when nobody reads it", async () => {
    const progress = join(folder(), "written");
    const script = `const fs = require("node:fs"); const chunk = Buffer.alloc(65536, "x");
      for (let n = 0; n < 400; n++) { fs.writeSync(1, chunk); fs.writeFileSync("${progress}", String(n)); }`;
    const child = start(node(script));
    child.stdout!.pause();
    await expect.poll(() => existsSync(progress), { timeout: 10_000 }).toBe(true);
    await setTimeout(1000);
    // What lies in pipes and in lango: far below 26 MB.
    expect(Number(readFileSync(progress, "utf8"))).toBeLessThan(40);
    let bytes = 0;
    child.stdout!.on("data", (chunk) => {
      bytes += chunk.length;
    });
    child.stdout!.resume();
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(0);
    expect(bytes).toBe(400 * 65536);
  });

  test("without a reader ends the command as it would by itself", async () => {
    const child = start(["--", "sh", "-c", "yes; exit 3"]);
    child.stdout!.once("data", () => child.stdout!.destroy());
    let errors = "";
    child.stderr!.on("data", (chunk) => {
      errors += chunk;
    });
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(3);
    expect(errors).not.toContain("lango:");
  });

  test("is not waited for when a process that was left behind keeps it open", async () => {
    const ran = await run(["--", "sh", "-c", "sleep 20 & echo started"]);
    expect(ran).toMatchObject({ code: 0, stdout: "started\n" });
  });

  test("TERM ends the command at once, with its own code", async () => {
    const child = start([
      "--",
      "sh",
      "-c",
      "trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done",
    ]);
    child.stdout!.once("data", () => child.kill("SIGTERM"));
    const began = performance.now();
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(9);
    expect(performance.now() - began).toBeLessThan(15_000);
  });
});

describe("--no-mask", () => {
  test("hands the output on as it is, says so even with --quiet, and is in the log", async () => {
    const ran = await run(["--no-mask", "--quiet", "--", "printf", "%s", SECRET]);
    expect(ran).toMatchObject({
      stdout: SECRET,
      stderr: "warning: the output is not masked: whoever reads it can read secrets\n",
    });
    const { document } = await langoJson(["audit", "tail"], { home });
    expect(document.data.events.at(-1)).toMatchObject({
      action: "run.start",
      detail: expect.stringMatching(
        /^\/.*\/printf, 2 words, sha256:[0-9a-f]{64}, output not masked$/,
      ),
    });
  });
});

describe("secrets among the words", () => {
  const reference = "{{secret:api/key}}";

  test("are refused without --allow-argv", async () => {
    expectOneFault(await run(["--", "printf", "%s", reference]), 125, /reference to a secret/);
    expectOneFault(await run(["--", "printf", "x{{decrypt:y"]), 125, /reference to a secret/);
  });

  test("are put in with it; what is none is an error", async () => {
    const script = 'printf %s "$1" | wc -c';
    const ran = await run(["--allow-argv", "--", "sh", "-c", script, "sh", `a${reference}b`]);
    expect(ran.stdout.trim()).toBe(String(SECRET.length + 2));
    for (const word of ["{{secret:none}}", "{{secret:../x}}"]) {
      expect((await run(["--allow-argv", "--", "printf", word])).code).toBe(125);
    }
  });

  test("in the environment are left alone", async () => {
    const ran = await run(["--", "sh", "-c", "printf %s $TEXT"], { env: { TEXT: reference } });
    expect(ran.stdout).toBe(reference);
  });
});

describe("--file", () => {
  test("is there for the command, for its user alone, and gone afterwards", async () => {
    const path = join(folder(), "key file");
    const script =
      'wc -c < "$1"; stat -L -c "%a %U" "$1"; df --output=fstype "$1" | tail -1; exit 4';
    const ran = await run(["--file", `${path}=api/key`, "--", "sh", "-c", script, "sh", path]);
    expect(ran.code, ran.stderr).toBe(4);
    const [size, mode, kind] = ran.stdout.split("\n");
    expect(size?.trim()).toBe(String(SECRET.length));
    expect(mode).toMatch(/^600 /);
    if (existsSync("/dev/shm")) expect(kind).toBe("tmpfs");
    expect(existsSync(path)).toBe(false);
    expect(leftovers()).toEqual([]);
  });

  test("leaves no value behind whatever the command puts in its place", async () => {
    const path = join(folder(), "key");
    const script = 'rm "$1"; mkdir "$1"; exit 4';
    const ran = await run(["--file", `${path}=api/key`, "--", "sh", "-c", script, "sh", path]);
    expect(ran.code, ran.stderr).toBe(4);
    expect(leftovers()).toEqual([]);
  });

  test("does not overwrite, and leaves nothing behind when it fails", async () => {
    const path = fileWith("mine");
    const other = join(folder(), "other");
    const both = ["--file", `${other}=api/key`, "--file", `${path}=api/key`, "--", "true"];
    expectOneFault(await run(both), 125, /There is a file at/);
    expect(readFileSync(path, "utf8")).toBe("mine");
    const nowhere = ["--file", `${other}/no/key=api/key`, "--", "true"];
    expectOneFault(await run(nowhere), 125, /Cannot write .*: there is no folder .*\/other\/no$/);
    expect(existsSync(other)).toBe(false);
    expect(leftovers()).toEqual([]);
  });

  test("what a killed lango left is removed by the next", async () => {
    const path = join(folder(), "key");
    const child = start(["--file", `${path}=api/key`, "--", "sh", "-c", "echo ready; sleep 30"]);
    await new Promise((resolve) => child.stdout!.once("data", resolve));
    child.kill("SIGKILL");
    await new Promise((resolve) => child.on("close", resolve));
    expect(leftovers().length).toBe(existsSync("/dev/shm") ? 1 : 0);
    const ran = await run(["--file", `${path}=api/key`, "--", "wc", "-c", path]);
    expect(ran.code, ran.stderr).toBe(0);
    expect(existsSync(path)).toBe(false);
    expect(leftovers()).toEqual([]);
  });

  test.each(["path", "=api/key", "path="])("refuses %s", async (assignment) => {
    expectOneFault(await run(["--file", assignment, "--", "true"]), 125, /takes PATH=SECRET/);
  });
});

/** Folders of values in memory whose lango is one of these tests'. */
const leftovers = (): string[] =>
  existsSync("/dev/shm")
    ? readdirSync("/dev/shm").filter((name) => {
        if (!name.startsWith("lango-run-")) return false;
        const file = readdirSync(`/dev/shm/${name}`)[0];
        return file === undefined || readFileSync(`/dev/shm/${name}/${file}`, "utf8") === SECRET;
      })
    : [];

describe("as the first process of a container", () => {
  test("reaps what is left to it, passes signals on and ends with the command's code", async () => {
    const unshare = requireService("unshare");
    const script = `
      (sleep 0.2 &) ; (sleep 0.3 &)
      trap 'exit 11' TERM
      sleep 1
      ps -A -o stat= | grep -c Z
      echo ready
      while :; do sleep 0.1; done`;
    const child = spawn(
      unshare,
      [
        ...["--user", "--map-root-user", "--fork", "--kill-child", "--pid", "--mount-proc"],
        ...["sh", "-c", 'exec "$@"', "sh", process.execPath, ...LANGO],
        ...["run", "--", "sh", "-c", script],
      ],
      { env: environment(home), stdio: ["ignore", "pipe", "pipe"] },
    );
    let out = "";
    child.stdout.on("data", (chunk) => {
      out += chunk;
    });
    await expect.poll(() => out, { timeout: 20_000 }).toContain("ready");
    expect(out).toBe("0\nready\n");
    const [first] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").split(
      " ",
    );
    process.kill(Number(first), "SIGTERM");
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(11);
  });
});

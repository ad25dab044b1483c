import { execFile, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
} from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { good } from "./provider-support.ts";
import {
  environment,
  expectOneFault,
  fileWith,
  LANGO,
  LANGO_IN_SHELL,
  lango,
  langoJson,
  PASSPHRASE,
  SECRET,
  vaultHome,
} from "./support.ts";
import { Terminal } from "./terminal.ts";

const run = promisify(execFile);
const LOCKED = { LANGO_PASSPHRASE: undefined };
const VERIFY = ["audit", "verify"];
const REVEAL = ["security", "secrets", "get", "api/key", "--reveal"];

interface Started {
  readonly home: string;
  readonly pid: number;
}

/** A home with an agent, which is gone after the test. */
async function unlocked(...words: string[]): Promise<Started> {
  const home = await vaultHome();
  const { document, code, stderr } = await langoJson(["unlock", ...words], { home });
  expect(code, stderr).toBe(0);
  const { pid } = document.data;
  onTestFinished(() => end(pid));
  return { home, pid };
}

function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It is gone, as it should be.
  }
}

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}/cmdline`);
const gone = (pid: number) => expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
const socketOf = (home: string): string => join(home, "run", "agent.sock");

const sourceOf = async (home: string): Promise<unknown> =>
  (await langoJson(["whoami"], { home, env: LOCKED })).document.data.source;

test("opens the vault until it is locked; both are in the log", async () => {
  const { home, pid } = await unlocked();
  const options = { home, env: LOCKED };
  // A value that goes in needs no consent, and a child gets it masked.
  const script = ["--", "sh", "-c", 'echo "$KEY"'];
  const [verified, set, child, source, status, whoami] = await Promise.all([
    lango(VERIFY, options),
    lango(["security", "secrets", "set", "new"], { ...options, input: "value" }),
    lango(["run", "--env", "KEY=api/key", ...script], options),
    sourceOf(home),
    langoJson(["security", "status"], options),
    good(["whoami"], options),
  ]);
  expect(verified.code, verified.stderr).toBe(0);
  expect(set.code, set.stderr).toBe(0);
  expect(child.stdout).toBe("[SECRET:api/key]\n");
  expect(source).toBe("unlock agent");
  expect(status.document.data.unlockSource).toBe("unlock agent");
  expect(status.document.data.agent).toMatchObject({ pid, endsAt: expect.any(Number) });
  expect(whoami).toMatch(
    new RegExp(`^unlock agent +process ${pid}, until .*Z, .*Z without use$`, "m"),
  );

  const locked = await langoJson(["lock"], options);
  expect(locked.document.data).toEqual({ locked: true, pid });
  await gone(pid);
  expect(readdirSync(join(home, "run")).filter((name) => name.startsWith("agent"))).toEqual([]);
  const [denied, twice, without, { document }] = await Promise.all([
    lango(VERIFY, options),
    langoJson(["lock"], options),
    sourceOf(home),
    langoJson(["audit", "tail"], { home }),
  ]);
  expectOneFault(denied, 4, /nothing gave its passphrase/);
  expect(twice.document.data).toEqual({ locked: false });
  expect(without).toBe("stdin");
  const events: { action: string; detail: string; actor: { source: string } }[] =
    document.data.events;
  expect(events.find(({ action }) => action === "agent.unlock")).toMatchObject({
    detail: "for 3600 s, 900 s idle",
    actor: { source: "LANGO_PASSPHRASE" },
  });
  expect(events.find(({ action }) => action === "agent.lock")).toMatchObject({
    detail: `agent ${pid}`,
    actor: { source: "unlock agent" },
  });
});

test("is nobody's consent: no value, no template, no grant, no other door, no second agent", async () => {
  const { home } = await unlocked();
  const options = { home, env: LOCKED };
  const template = fileWith("{{lango:api/key}}");
  const out = join(home, "out");
  const denied: readonly (readonly string[])[] = [
    REVEAL,
    ["inject", "-i", template, "-o", out, "--allow", "api/key"],
    ["approvals", "grant", "secrets.get", "api/key"],
    ["security", "slots", "add", "--kind", "master-key-file"],
    ["security", "keyring", "store"],
    ["security", "slots", "remove", "0123456789abcdef01234567"],
  ];
  const ran = await Promise.all(denied.map((words) => lango(words, options)));
  for (const [index, { code, stdout, stderr }] of ran.entries()) {
    expect([2, 5], `${denied[index]?.join(" ")}: ${stderr}`).toContain(code);
    expect(stdout + stderr).not.toContain(SECRET);
  }
  expectOneFault(ran[0]!, 5, /unlock agent can be read by every process/);
  expect(existsSync(out)).toBe(false);
  expect(existsSync(join(home, "master.key"))).toBe(false);
  // What is given for the command itself goes before the agent.
  const right = ["--passphrase-file", fileWith(PASSPHRASE)];
  const wrong = ["--passphrase-file", fileWith("no such passphrase")];
  const [second, shown, refused, without] = await Promise.all([
    lango(["unlock"], { home }),
    lango([...REVEAL, ...right], options),
    lango([...VERIFY, ...wrong], options),
    lango([...VERIFY, "--unlock-with", "passphrase"], options),
  ]);
  expectOneFault(second, 9, /holds the key already/);
  expect(shown.stdout.trim()).toBe(SECRET);
  expectOneFault(refused, 4, /from --passphrase-file/);
  expect(without.code).toBe(4);
});

test("wants more than what lies about, and times that make sense", async () => {
  const home = await vaultHome();
  const [locked, dry, ...odd] = await Promise.all([
    lango(["unlock", "--no-input"], { home, env: LOCKED }),
    lango(["unlock", "--dry-run"], { home }),
    lango(["unlock", "--for", "25h"], { home }),
    lango(["unlock", "--for", "soon"], { home }),
    lango(["unlock", "--idle", "0s"], { home }),
  ]);
  expectOneFault(locked, 4, /passphrase/);
  expect(dry.code).toBe(0);
  for (const ran of odd) expectOneFault(ran, 2, /is no time from 1s to 24h/);
  expect(existsSync(socketOf(home))).toBe(false);
});

test("ends by itself: its time over, unused, its home gone, or by a signal", async () => {
  const [expired, idle, homeless, ...signalled] = await Promise.all([
    unlocked("--for", "1s"),
    unlocked("--idle", "1s"),
    unlocked(),
    unlocked(),
    unlocked(),
    unlocked(),
  ]);
  rmSync(homeless.home, { recursive: true });
  for (const [index, signal] of (["SIGTERM", "SIGINT", "SIGHUP"] as const).entries()) {
    process.kill(signalled[index]?.pid ?? 0, signal);
  }
  await Promise.all([expired, idle, homeless, ...signalled].map(({ pid }) => gone(pid)));
  await Promise.all(
    [expired, idle, ...signalled].map(async ({ home }) => {
      expect(existsSync(socketOf(home))).toBe(false);
      expect((await lango(VERIFY, { home, env: LOCKED })).code).toBe(4);
    }),
  );
  expect(existsSync(homeless.home)).toBe(false);
  const told = [
    [expired, "its time was over"],
    [idle, "not used for its time"],
    ...signalled.map((each) => [each, "ended by a signal"] as const),
  ] as const;
  const endsOf = async (home: string) => {
    expect((await lango(VERIFY, { home })).code).toBe(0);
    const { document } = await langoJson(["audit", "tail"], { home });
    const rows: { action: string; detail: string }[] = document.data.events;
    return rows.filter(({ action }) => action === "agent.end");
  };
  await Promise.all(
    told.map(async ([{ home, pid }, why]) => {
      // At the next unlock, as what any process of the user could have written.
      const ends = await endsOf(home);
      expect(ends).toMatchObject([{ authenticated: false }]);
      expect(ends[0]?.detail).toMatch(new RegExp(`^\\d{4}-.*Z pid ${pid} ${why}$`));
    }),
  );
  // And once.
  expect(await endsOf(expired.home)).toHaveLength(1);
});

test("killed, leaves nothing that keeps anybody from anything", async () => {
  const { home, pid } = await unlocked();
  process.kill(pid, "SIGKILL");
  await gone(pid);
  expect(existsSync(socketOf(home))).toBe(true);
  const [locked, opened, none] = await Promise.all([
    lango(VERIFY, { home, env: LOCKED }),
    lango(VERIFY, { home }),
    langoJson(["lock"], { home }),
  ]);
  expect([locked.code, opened.code]).toEqual([4, 0]);
  expect(none.document.data).toEqual({ locked: false });
  const again = await langoJson(["unlock"], { home });
  onTestFinished(() => end(again.document.data.pid));
  expect(again.code, again.stderr).toBe(0);
  expect((await lango(VERIFY, { home, env: LOCKED })).code).toBe(0);
});

test("opens no more once its slot was changed, and says how to go on", async () => {
  const { home, pid } = await unlocked();
  const files = [
    ...["--old-passphrase-file", fileWith(PASSPHRASE)],
    ...["--new-passphrase-file", fileWith("another long passphrase")],
    ...["--kdf", "pbkdf2-sha256:1000", "--accept-weak-kdf"],
  ];
  expect((await lango(["security", "migrate-passphrase", ...files], { home })).code).toBe(0);
  const ran = await lango(VERIFY, { home, env: LOCKED });
  expectOneFault(ran, 4, /opens the vault no more: the slot .* was changed/);
  expect(ran.stderr).toContain('"lango lock"');
  const locked = await lango(["lock"], { home, env: LOCKED });
  expect(locked.code).toBe(0);
  expect(locked.stderr).toMatch(/The log has it from the next unlock on/);
  await gone(pid);
  const env = { LANGO_PASSPHRASE: "another long passphrase" };
  expect((await lango(VERIFY, { home, env })).code).toBe(0);
  const { document } = await langoJson(["audit", "tail"], { home });
  const failed = document.data.events.filter(
    ({ outcome }: { outcome: string }) => outcome === "failure",
  );
  expect(failed[0]).toMatchObject({ action: "vault.unlock", code: "ERR_WRONG_PASSPHRASE" });
  const [ended] = document.data.events.filter(
    ({ action }: { action: string }) => action === "agent.end",
  );
  expect(ended.detail).toMatch(new RegExp(` pid ${pid} locked$`));
});

test("is locked at once, whatever the vault is like by then", async () => {
  const [broken, hanging] = await Promise.all([unlocked(), unlocked()]);
  rmSync(join(broken.home, "keyslots.json"));
  mkdirSync(join(broken.home, "keyslots.json"));
  // A database server that takes every connection and says nothing.
  const silent = createServer();
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const taken: Socket[] = [];
  silent.on("connection", (socket) => taken.push(socket));
  onTestFinished(() => void silent.close());
  const { port } = silent.address() as AddressInfo;
  const env = { ...LOCKED, DATABASE_URL: `postgres://u:p@127.0.0.1:${port}/d` };
  const waiting = lango(["lock"], { home: hanging.home, env });
  const locked = await lango(["lock"], { home: broken.home, env: LOCKED });
  expect(locked.code, locked.stderr).toBe(0);
  expect(locked.stderr).toMatch(/The log has it from the next unlock on/);
  await Promise.all([broken.pid, hanging.pid].map(gone));
  await expect.poll(() => taken.length, { timeout: 10_000 }).toBeGreaterThan(0);
  silent.close();
  for (const socket of taken) socket.destroy();
  const { code, stderr } = await waiting;
  expect(code, stderr).toBe(0);
  expect(stderr).toMatch(/The log has it from the next unlock on/);
});

test("another user cannot connect, and sees no secret", async () => {
  const { home, pid } = await unlocked();
  // Even where the folders above let everybody in, as the other socket shows.
  for (const path of [home, join(home, ".."), join(home, "../..")]) chmodSync(path, 0o755);
  const everybody = createServer((socket) => void socket.end("open"));
  onTestFinished(() => void everybody.close());
  const open = join(home, "open.sock");
  await new Promise<void>((resolve) => everybody.listen(open, resolve));
  chmodSync(open, 0o666);
  const script = `
    process.setgroups([]); process.setgid(65534); process.setuid(65534);
    const { connect } = require("node:net");
    const { readFileSync } = require("node:fs");
    for (const path of process.argv.slice(1, 3)) {
      const tell = (what) => console.log(path + " " + what);
      connect(path).on("error", ({ code }) => tell(code)).on("data", tell);
    }
    for (const path of process.argv.slice(3)) {
      try { readFileSync(path); console.log(path + " read"); } catch ({ code }) { console.log(path + " " + code); }
    }`;
  const files = [join(home, "run", "agent.token"), `/proc/${pid}/environ`, `/proc/${pid}/mem`];
  const words = ["-e", script, socketOf(home), open, ...files];
  expect(lstatSync(socketOf(home)).mode & 0o777).toBe(0o600);
  expect(lstatSync(join(home, "run")).mode & 0o777).toBe(0o700);
  if (process.getuid?.() !== 0) {
    // Only root can become another user: what keeps others out was looked at.
    await expect(run(process.execPath, words)).rejects.toThrow("EPERM");
    return;
  }
  const { stdout } = await run(process.execPath, words);
  expect(stdout.trim().split("\n").sort()).toEqual(
    [`${open} open`, ...[socketOf(home), ...files].map((path) => `${path} EACCES`)].sort(),
  );
});

test("its process: nothing of the terminal's, no secret to be seen, no core file, no debugger", async () => {
  const home = await vaultHome();
  const terminal = new Terminal(
    "/bin/sh",
    [
      "-c",
      `exec 5</dev/tty 6<'${fileWith("other")}'; ulimit -c unlimited; ${LANGO_IN_SHELL} unlock --json`,
    ],
    environment(home, { NODE_OPTIONS: "--max-http-header-size=9000" }),
  );
  const ended = await terminal.end();
  expect(ended.exitCode, terminal.output).toBe(0);
  const { pid } = JSON.parse(/\{.*\}/.exec(terminal.output)?.[0] ?? "").data;
  onTestFinished(() => end(pid));
  // The terminal and the command are gone, and it is still there.
  await sleep(300);
  expect((await lango(VERIFY, { home, env: LOCKED })).code).toBe(0);
  const read = (name: string): string => readFileSync(`/proc/${pid}/${name}`, "latin1");
  expect(read("environ")).not.toMatch(/LANGO|HOME|NODE/);
  expect(read("cmdline") + read("environ")).not.toContain(PASSPHRASE);
  expect(read("limits")).toMatch(/Max core file size +0 +0 /);
  expect(Number.parseInt(read("coredump_filter"), 16)).toBe(0);
  // A session of its own, and no terminal: fields 6 and 7 (proc_pid_stat(5)).
  const [, , , session, tty] = read("stat")
    .replace(/^.*\) /, "")
    .split(" ");
  expect([session, tty]).toEqual([`${pid}`, "0"]);
  expect(readlinkSync(`/proc/${pid}/cwd`)).toBe("/");
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  expect(links.filter((link) => /tty|pts|lango/.test(link))).toEqual([]);
  process.kill(pid, "SIGUSR1");
  await sleep(300);
  expect(readFileSync("/proc/net/tcp", "latin1")).not.toContain(":240D 00000000:0000 0A");
  expect((await lango(VERIFY, { home, env: LOCKED })).code).toBe(0);
});

test("whose socket was taken away ends, and leaves that of the next one", async () => {
  const { home, pid } = await unlocked();
  renameSync(socketOf(home), join(home, "run", "elsewhere.sock"));
  const next = await langoJson(["unlock"], { home });
  expect(next.code, next.stderr).toBe(0);
  onTestFinished(() => end(next.document.data.pid));
  await gone(pid);
  expect(existsSync(socketOf(home))).toBe(true);
  expect((await lango(VERIFY, { home, env: LOCKED })).code).toBe(0);
});

test("serves many commands at once", async () => {
  const { home } = await unlocked();
  const ran = await Promise.all(
    Array.from({ length: 6 }, () =>
      lango(["security", "secrets", "get", "api/key"], { home, env: LOCKED }),
    ),
  );
  for (const { code, stderr } of ran) expect(code, stderr).toBe(0);
});

test("does not keep the command's own pipes open", async () => {
  const home = await vaultHome();
  const child = spawn(process.execPath, [...LANGO, "unlock", "--for", "20s"], {
    env: environment(home),
    stdio: ["ignore", "pipe", "pipe"],
  });
  // `close` comes when the last holder of both pipes is gone.
  const code = await new Promise((resolve) => child.once("close", resolve));
  expect(code).toBe(0);
  expect((await lango(["lock"], { home, env: LOCKED })).code).toBe(0);
});

test("is not asked when a backup is restored over the home: its key is that of the vault there", async () => {
  const { home, pid } = await unlocked();
  const file = join(home, "..", "vault.tar.age");
  const passphrase = ["--backup-passphrase-file", fileWith("seven dry herrings")];
  const options = { home, env: LOCKED };
  const made = await lango(["backup", "create", "--to", file, ...passphrase], options);
  expect(made.code, made.stderr).toBe(0);
  const restore = ["backup", "restore", file, "--force", "--dry-run", ...passphrase];
  const refused = await langoJson(restore, options);
  expect(refused.document.error?.code).toBe("ERR_LOCKED");
  expect(refused.document.error?.hint ?? "").not.toContain("agent");
  expect(isAlive(pid)).toBe(true);
  expect((await lango(restore, { home })).code).toBe(0);
});

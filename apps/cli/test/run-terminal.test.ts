import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { POSTGRES_USER, startPostgres } from "../../../tooling/services/postgres.ts";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import {
  environment,
  fileWith,
  folder,
  LANGO,
  LANGO_IN_SHELL,
  PASSPHRASE,
  SECRET,
  sharedVaultHome,
} from "./support.ts";
import { Terminal } from "./terminal.ts";

const CTRL_C = "\u0003";
const node = (script: string) => ["--", process.execPath, "-e", script];

/** lango run on a terminal of its own. */
const run = async (...args: string[]): Promise<Terminal> =>
  new Terminal(
    process.execPath,
    [...LANGO, "run", ...args],
    environment(await sharedVaultHome(), { TERM: "xterm-256color" }),
  );

describe("on a terminal", () => {
  test("the command has a terminal, of the same size, and its output is masked", async () => {
    const script = 'tty; stty size; printf "%s\\n" "$T"; printf "%s\\n" "$T" >&2; exit 6';
    const terminal = await run("--env", "T=api/key", "--", "sh", "-c", script);
    expect(await terminal.end()).toMatchObject({ exitCode: 6 });
    const lines = terminal.output.trim().split("\r\n");
    expect(lines[0]).toMatch(/^\/dev\//);
    expect(lines.slice(1)).toEqual(["24 300", "[SECRET:api/key]", "[SECRET:api/key]"]);
  });

  test("nothing that opens the vault reaches the program that sets its modes", async () => {
    const seen = join(folder(), "seen");
    const own = folder();
    const script = `#!/bin/sh\nenv >> '${seen}'\nPATH=\${PATH#*:} exec stty "$@"\n`;
    writeFileSync(join(own, "stty"), script, { mode: 0o755 });
    const path = `${own}:${process.env["PATH"]}`;
    const terminal = new Terminal(
      process.execPath,
      [...LANGO, "run", "--", "echo", "done"],
      environment(await sharedVaultHome(), { TERM: "xterm-256color", PATH: path }),
    );
    expect(await terminal.end()).toMatchObject({ exitCode: 0 });
    expect(terminal.output).toContain("done");
    const inherited = readFileSync(seen, "utf8");
    expect(inherited).toContain(`PATH=${own}`);
    expect(inherited).not.toContain(PASSPHRASE);
  });

  test("a change of its size reaches the command", async () => {
    const script = `process.stdout.on("resize", () => { console.log("now " + process.stdout.getWindowSize()); process.exit(0); });
      console.log("ready"); setInterval(() => {}, 1000)`;
    const terminal = await run(...node(script));
    await terminal.see("ready");
    terminal.resize(91, 33);
    expect(await terminal.end()).toMatchObject({ exitCode: 0 });
    expect(terminal.output).toContain("now 91,33");
  });

  test("a secret that comes one key at a time, in colours and with sleeps, is masked", async () => {
    const script = `const { setTimeout: wait } = require("node:timers/promises");
      (async () => { for (const char of process.env.T) { process.stdout.write("\\x1b[32m" + char + "\\x1b[m"); await wait(20); } console.log("!"); })()`;
    const terminal = await run("--env", "T=api/key", ...node(script));
    await terminal.end();
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours
    expect(terminal.output.replaceAll(/\x1b\[\d*m/g, "")).toBe("[SECRET:api/key]!\r\n");
  });

  test("what is typed is echoed at once, although a form begins with it", async () => {
    const terminal = await run("--", "sh", "-c", "echo ready; cat");
    await terminal.see("ready");
    // "s" begins the secret, "736b" its hexadecimal form.
    for (const text of ["s", "k", "-", "\r", "7", "3", "6"]) {
      const before = terminal.output.length;
      terminal.type(text);
      await expect.poll(() => terminal.output.length).toBeGreaterThan(before);
    }
    terminal.type(`\r${SECRET}\r\u0004`);
    await terminal.end();
    expect(terminal.output).not.toContain(SECRET);
    expect(terminal.output.match(/\[SECRET:api\/key\]/g)).toHaveLength(2);
  });

  test("the passphrase is asked for first, and the keys after it are the command's", async () => {
    const terminal = new Terminal(
      process.execPath,
      [...LANGO, "run", "--", "sh", "-c", "echo ready; read line; echo got-$line; stty -a"],
      environment(await sharedVaultHome(), { LANGO_PASSPHRASE: undefined }),
    );
    await terminal.see("passphrase: ");
    terminal.type(`${PASSPHRASE}\r`);
    await terminal.see("ready");
    terminal.type("one\r");
    expect(await terminal.end()).toMatchObject({ exitCode: 0 });
    expect(terminal.output).toContain("one\r\ngot-one\r\n");
    // The command's own terminal is in no special mode.
    expect(terminal.output).toMatch(/ icanon .* echo /s);
    expect(terminal.output).not.toContain(PASSPHRASE);
  });

  test("keys go to the command as they are, a large paste too", async () => {
    const script = `process.stdin.setRawMode(true); let n = 0; console.log("ready");
      process.stdin.on("data", (d) => { n += d.length; if (d.includes(4)) { console.log("got " + n); process.exit(); } })`;
    const terminal = await run(...node(script));
    await terminal.see("ready");
    terminal.type(Buffer.alloc(100_000, "\u00e9x"));
    terminal.type(Buffer.from([0xff, 0xfe, 4]));
    await terminal.end();
    expect(terminal.output).toContain("got 100003");
  });

  test("Ctrl-C is a signal for the command, once, and its code is passed on", async () => {
    const script = `let n = 0; process.on("SIGINT", () => { n++; });
      console.log("ready"); setTimeout(() => { console.log("signals " + n); process.exit(3); }, 1000)`;
    const terminal = await run(...node(script));
    await terminal.see("ready");
    terminal.type(CTRL_C);
    expect(await terminal.end()).toMatchObject({ exitCode: 3 });
    expect(terminal.output).toContain("signals 1");
    const killed = await run("--", "sh", "-c", "echo ready; sleep 20");
    await killed.see("ready");
    killed.type(CTRL_C);
    expect(await killed.end()).toMatchObject({ exitCode: 130 });
  });

  test.each(["SIGTERM", "SIGHUP", "SIGUSR2", "SIGINT"] as const)(
    "%s is passed on, and ends the command at once with its own code",
    async (signal) => {
      const script = `process.on("${signal}", () => { console.log("got it"); process.exit(5); });
        console.log("ready"); setInterval(() => {}, 1000)`;
      const terminal = await run(...node(script));
      await terminal.see("ready");
      terminal.signal(signal);
      expect(await terminal.end()).toMatchObject({ exitCode: 5 });
      expect(terminal.output).toContain("got it");
    },
  );

  test("a terminal that goes away ends the command as it would by itself", async () => {
    const file = fileWith("");
    const terminal = await run(
      ...["--", "sh", "-c", "trap 'echo hung-up > $0; exit' HUP; echo ready; sleep 30", file],
    );
    await terminal.see("ready");
    terminal.hangUp();
    await expect.poll(() => readFileSync(file, "utf8"), { timeout: 10_000 }).toBe("hung-up\n");
  });

  test("the end of a long output is not lost", async () => {
    const terminal = await run("--", "sh", "-c", "seq 1 60000; echo the-end");
    expect(await terminal.end()).toMatchObject({ exitCode: 0 });
    expect(terminal.output.endsWith("60000\r\nthe-end\r\n")).toBe(true);
    expect(terminal.output.split("\r\n")).toHaveLength(60_002);
  });

  test("a progress bar is shown as it is painted", async () => {
    const script = 'for n in 10 50 100; do printf "\\r\\033[2K[%3d %%]" $n; sleep 0.1; done; echo';
    const terminal = await run("--", "sh", "-c", script);
    await terminal.see("[ 50 %]");
    await terminal.end();
    expect(terminal.output).toBe(
      `${[" 10", " 50", "100"].map((n) => `\r\u001b[2K[${n} %]`).join("")}\r\n`,
    );
  });

  test("its modes are as before, whether the command ends or is killed", async () => {
    const home = await sharedVaultHome();
    for (const end of ["exit 0", "kill -KILL $$", "stty raw -echo; exit 1"]) {
      const script = `before=$(stty -g); ${LANGO_IN_SHELL} run -- sh -c '${end}'; [ "$before" = "$(stty -g)" ] && echo same`;
      const terminal = new Terminal("/bin/sh", ["-c", script], environment(home));
      await terminal.end();
      expect(terminal.output).toContain("same");
    }
  });
});

/** A session of tmux with a shell in it, from which lango is run as a person does it. */
class Tmux {
  readonly #program = requireService("tmux");
  readonly #socket = join(folder(), "tmux");

  constructor(env: Record<string, string>) {
    // Nothing of the person's own settings: neither of tmux nor of the shell.
    const session = ["new-session", "-d", "-x", "100", "-y", "30", "-s", "t", "sh"];
    const options = { env: { ...env, ENV: "" } };
    execFileSync(this.#program, ["-S", this.#socket, "-f", "/dev/null", ...session], options);
    onTestFinished(() => void this.#call("kill-server"));
  }

  type(...keys: string[]): void {
    this.#call("send-keys", "-t", "t", ...keys);
  }

  line(text: string): void {
    // At the end of a word tmux takes a semicolon for its own.
    this.#call("send-keys", "-t", "t", "-l", text.replace(/;$/, "\\;"));
    this.type("Enter");
  }

  get screen(): string {
    return this.#call("capture-pane", "-p", "-t", "t");
  }

  /** The screen with what has gone off its top. */
  get history(): string {
    return this.#call("capture-pane", "-p", "-S", "-", "-t", "t");
  }

  async see(pattern: RegExp): Promise<void> {
    await expect.poll(() => this.screen, { timeout: 15_000 }).toMatch(pattern);
  }

  /** Waits until the shell asks for the next line: what is typed before that belongs to the command. */
  async prompt(): Promise<void> {
    const lastLine = () => this.screen.trimEnd().split("\n").at(-1);
    await expect.poll(lastLine, { timeout: 15_000 }).toMatch(/^[#$]$/);
  }

  #call(...words: string[]): string {
    return execFileSync(this.#program, ["-S", this.#socket, ...words], { encoding: "utf8" });
  }
}

const tmux = async (): Promise<Tmux> => new Tmux(environment(await sharedVaultHome()));
const RUN = `${LANGO_IN_SHELL} run`;

describe("under tmux", () => {
  test("a command is stopped by Ctrl-Z and goes on with fg, twice", async () => {
    const screen = await tmux();
    const script = fileWith("echo started; read x; echo got-$x; read x; echo got-$x; exit 7\n");
    screen.line(`${RUN} -- sh ${script}`);
    await screen.see(/started/);
    for (const word of ["one", "two"]) {
      screen.type("C-z");
      await screen.see(/Stopped|Suspended/);
      screen.line("clear; echo shell-$((20 + 1))");
      await screen.see(/shell-21/);
      screen.line("fg");
      screen.line(word);
      await screen.see(new RegExp(`got-${word}`));
    }
    await screen.prompt();
    screen.line("echo code=$?");
    await screen.see(/code=7/);
  });

  test("vim edits a file, its screen is masked, and it is suspended", async () => {
    requireService("vim");
    const screen = await tmux();
    const file = fileWith(`first\nkey = ${SECRET}\nlast\n`, "notes.txt");
    screen.line(`${RUN} -- vim -u NONE -N -n ${file}`);
    await screen.see(/key = \[SECRET:api\/key\]/);
    screen.type("G", "o");
    await screen.see(/-- INSERT --/);
    screen.line("typed here");
    screen.type("Escape");
    screen.type("C-z");
    await screen.see(/Stopped|Suspended/);
    screen.line("clear");
    screen.line("fg");
    await screen.see(/typed here/);
    expect(screen.screen).not.toContain(SECRET);
    screen.line(":wq");
    await screen.prompt();
    screen.line("echo code=$?");
    await screen.see(/code=0/);
    expect(readFileSync(file, "utf8")).toBe(`first\nkey = ${SECRET}\nlast\ntyped here\n\n`);
  });

  test("psql asks a server, pages, asks without an echo, and its rows are masked", async () => {
    requireService("psql");
    const server = await startPostgres(requireService("postgres"), SECRET);
    onTestFinished(() => server.stop());
    const screen = await tmux();
    const psql = fileWith(
      `exec ${RUN} --env PGPASSWORD=api/key -- psql -X -h 127.0.0.1 -p ${server.port} -U ${POSTGRES_USER} postgres\n`,
    );
    screen.line(`PAGER=more sh ${psql}; echo code=$?`);
    await screen.see(/postgres=#/);
    screen.line("\\getenv key PGPASSWORD");
    screen.line("select 20 + 1 as n, :'key' as key, encode(:'key', 'hex') as hex;");
    await screen.see(/21 \| \[SECRET:api\/key\] +\| \[SECRET:api\/key\]/);
    // A table longer than the window, in the pager, with the value on its second page.
    screen.line("select n, case n when 40 then :'key' end from generate_series(1, 60) n;");
    await screen.see(/--More--/);
    screen.type("Space");
    await screen.see(/40 \| \[SECRET:api\/key\]/);
    screen.type("q");
    await screen.see(/postgres=#\s*$/);
    screen.line("\\password");
    for (const prompt of [/Enter new password/, /Enter it again/]) {
      await screen.see(prompt);
      screen.line("typed-in-the-dark");
    }
    // It throws away what is typed before it asks again.
    await screen.see(/again:\s+postgres=#\s*$/);
    screen.line("select 'changed-' || (40 + 2);");
    await screen.see(/changed-42/);
    expect(screen.screen).not.toContain("in-the-dark");
    expect(screen.history).not.toContain(SECRET);
    screen.line("\\q");
    await screen.see(/code=0/);
    // The password of the vault is the wrong one now.
    screen.line(`clear; sh ${psql}; echo code=$?`);
    // The window breaks the line somewhere.
    await screen.see(/FATAL:\s+password[\s\S]*code=2/);
  }, 60_000);

  test("in the background a command runs on, through pipes", async () => {
    const screen = await tmux();
    screen.line(
      `${RUN} -- sh -c 'sleep 0.1; echo back-$((40 + 2)); test -t 1 || echo no-$((40 + 3))' &`,
    );
    await screen.see(/back-42\s+no-43/);
    expect(screen.screen).not.toContain("Stopped");
  });

  test("stty size is that of the window", async () => {
    const screen = await tmux();
    screen.line(`${RUN} -- stty size`);
    await screen.see(/30 100/);
  });
});

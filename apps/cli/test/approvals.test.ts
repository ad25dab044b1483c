import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  environment,
  expectOneFault,
  LANGO,
  LANGO_IN_SHELL,
  lango,
  langoJson,
  PASSPHRASE,
  type Ran,
  vaultHome,
} from "./support.ts";
import { Terminal } from "./terminal.ts";

const ASK = "Passphrase, to approve this: ";
const GRANT = [
  "approvals",
  "grant",
  "http_request",
  "--secret",
  "api/key",
  "--to",
  "API.example.org",
];

/** lango on a terminal; the environment opens the vault, and must not be enough. */
const session = (home: string, ...args: string[]): Terminal =>
  new Terminal(process.execPath, [...LANGO, ...args], environment(home));

/** lango in a session of its own, which has no terminal. */
const detached = (home: string, ...args: string[]): Promise<Ran> => {
  const child = spawn("setsid", ["--wait", process.execPath, ...LANGO, ...args], {
    env: environment(home),
  });
  return ranOf(child);
};

const ranOf = async (child: ChildProcess): Promise<Ran> => {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on("data", (chunk) => out.push(chunk));
  child.stderr?.on("data", (chunk) => err.push(chunk));
  child.stdin?.end();
  const [code, signal] = await once(child, "close");
  const bytes = Buffer.concat(out);
  return { code, signal, bytes, stdout: `${bytes}`, stderr: `${Buffer.concat(err)}` };
};

const approve = async (terminal: Terminal): Promise<void> => {
  await terminal.see(ASK);
  terminal.type(`${PASSPHRASE}\r`);
  expect(await terminal.end(), terminal.output).toMatchObject({ exitCode: 0 });
};

const listed = async (home: string) =>
  (await langoJson(["approvals", "list"], { home })).document.data;

const Sqlite = createRequire(import.meta.url)("better-sqlite3-multiple-ciphers");

describe("approvals grant", () => {
  test("asks for the passphrase at the terminal, whatever else there is, and shows what is granted", async () => {
    const home = await vaultHome();
    const terminal = session(home, ...GRANT, "--for", "8h", "--uses", "3");
    await approve(terminal);
    for (const line of [
      "tool: http_request",
      "secret: api/key",
      "to: api.example.org:443",
      "session: any",
    ]) {
      expect(terminal.output).toContain(`  ${line}`);
    }
    expect(terminal.output).toContain("*".repeat(PASSPHRASE.length));
    expect(terminal.output).not.toContain(PASSPHRASE);
    const { grants, decisions } = await listed(home);
    expect(grants).toMatchObject([
      {
        tool: "http_request",
        scope: "destination",
        secret: "api/key",
        destination: "api.example.org:443",
        maxUses: 3,
        uses: 0,
        dangerous: true,
        by: "passphrase",
      },
    ]);
    expect(grants[0].expiresAt - grants[0].createdAt).toBe(8 * 3_600_000);
    expect(decisions.at(-1)).toMatchObject({ action: "grant.add", target: grants[0].id });
    const text = (await lango(["approvals", "list"], { home })).stdout;
    expect(text).toMatch(/^GRANT +TOOL +SCOPE/);
    expect(text).toContain("0 of 3");

    const { document } = await langoJson(["approvals", "revoke", grants[0].id], { home });
    expect(document.data).toEqual({ id: grants[0].id, revoked: true });
    expect((await listed(home)).grants).toEqual([]);
    const again = await lango(["approvals", "revoke", grants[0].id], { home });
    expectOneFault(again, 3, /No such grant/);
  });

  test("takes no passphrase from the environment, from standard input or typed ahead", async () => {
    const home = await vaultHome();
    const shell = `printf '%s\\n' '${PASSPHRASE}' | ${LANGO_IN_SHELL} ${GRANT.join(" ")}`;
    const terminal = new Terminal("/bin/sh", ["-c", shell], environment(home));
    terminal.type(`${PASSPHRASE}\r`);
    await terminal.see(ASK);
    terminal.type("\r");
    expect(await terminal.end()).toMatchObject({ exitCode: 5 });
    expect(terminal.output).toContain("Nothing was changed");
    expect((await listed(home)).grants).toEqual([]);
  });

  test("a wrong passphrase is 4, Ctrl-C 130", async () => {
    const home = await vaultHome();
    const wrong = session(home, ...GRANT);
    await wrong.see(ASK);
    wrong.type("a wrong passphrase\r");
    expect(await wrong.end()).toMatchObject({ exitCode: 4 });
    const stopped = session(home, ...GRANT);
    await stopped.see(ASK);
    stopped.type("\u0003");
    expect(await stopped.end()).toMatchObject({ exitCode: 130 });
    expect((await listed(home)).grants).toEqual([]);
  });

  test("is denied where nobody can be asked", async () => {
    const home = await vaultHome();
    for (const command of [
      GRANT,
      ["approvals", "policy", "--ask", "none"],
      ["security", "secrets", "allow", "api/key", "--to", "a.example"],
    ]) {
      expectOneFault(
        await detached(home, ...command),
        5,
        /needs an approver, and there is no terminal/,
      );
    }
    const quiet = session(home, ...GRANT, "--no-input");
    expect(await quiet.end()).toMatchObject({ exitCode: 5 });
    expect((await listed(home)).grants).toEqual([]);
  });

  test.each([
    [["approvals", "grant", "exec"], /for a destination, a command or a session/],
    [[...GRANT, "--for", "10s"], /--for is a time of a minute and more/],
    [[...GRANT, "--for", "soon"], /--for is a time/],
    [["approvals", "grant", "exec", "--to", "*.example.org"], /--to is a host/],
    [
      ["approvals", "grant", "exec", "--session", "s", "--arguments", "[]"],
      /--arguments is a JSON object/,
    ],
    [["approvals", "grant", "exec", "--command", "/bin/ls", "--uses", "0"], /--uses/],
  ])("refuses %j", async (args, problem) => {
    const home = await vaultHome();
    expectOneFault(await lango(args, { home }), 2, problem);
  });

  test("a dry run changes nothing and asks nobody", async () => {
    const home = await vaultHome();
    const ran = await lango([...GRANT, "--dry-run"], { home });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toMatch(
      /^would grant: tool: http_request; secret: api\/key; to: api\.example\.org:443;/,
    );
  });

  test("a grant that was changed in the database is exit 8", async () => {
    const home = await vaultHome();
    await approve(session(home, ...GRANT));
    const database = new Sqlite(join(home, "lango.db"));
    database.exec("update permits set expires_at = expires_at + 1");
    database.close();
    expectOneFault(await lango(["approvals", "list"], { home }), 8, /table permits was changed/);
  });
});

describe("approvals policy", () => {
  test("is shown with what config.json makes of it, and loosened by an approver alone", async () => {
    const home = await vaultHome();
    const shown = async () => (await langoJson(["approvals", "policy"], { home })).document.data;
    expect((await shown()).vault).toMatchObject({ enabled: true, approvalPolicy: "dangerous" });
    await lango(["settings", "set", "security.interceptor.approvalPolicy", "none"], { home });
    expect((await shown()).effective.approvalPolicy).toBe("dangerous");
    await lango(["settings", "set", "security.interceptor.approvalPolicy", "all"], { home });
    expect((await shown()).effective.approvalPolicy).toBe("all");

    const change = ["approvals", "policy", "--ask", "configured", "--exempt", "a", "--exempt", "b"];
    await approve(session(home, ...change, "--sensitive", "mail.send"));
    expect((await shown()).vault).toEqual({
      enabled: true,
      approvalPolicy: "configured",
      sensitiveTools: ["mail.send"],
      exemptTools: ["a", "b"],
    });
    await approve(session(home, "approvals", "policy", "--exempt", "none", "--enabled", "false"));
    expect((await shown()).vault).toMatchObject({ enabled: false, exemptTools: [] });
    expect((await lango(["approvals", "policy"], { home })).stdout).toMatch(
      /^vault +off, ask configured/,
    );
  });
});

describe("secrets allow", () => {
  const shown = async (home: string) => {
    const { document } = await langoJson(["security", "secrets", "list"], { home });
    const [{ destinations, commands, requiresHandle }] = document.data.secrets;
    return { destinations, commands, requiresHandle };
  };
  const allow = (home: string, ...args: string[]) =>
    session(home, "security", "secrets", "allow", "api/key", ...args);

  test("adds, clears, and is in the list", async () => {
    const home = await vaultHome();
    expect(await shown(home)).toEqual({ destinations: [], commands: [], requiresHandle: false });
    const terminal = allow(home, "--to", "API.example.org", "--command", "/usr/bin/gh");
    await approve(terminal);
    expect(terminal.output).toContain(
      "api/key may go without asking to api.example.org, /usr/bin/gh; nowhere else",
    );
    await approve(allow(home, "--to", "*.example.com:8443", "--handles", "required"));
    expect(await shown(home)).toEqual({
      destinations: ["api.example.org", "*.example.com:8443"],
      commands: ["/usr/bin/gh"],
      requiresHandle: true,
    });
    await approve(allow(home, "--clear"));
    expect(await shown(home)).toEqual({ destinations: [], commands: [], requiresHandle: true });
  });

  test("shows what a thief has written into the list as exit 8, and changes nothing", async () => {
    const home = await vaultHome();
    await approve(allow(home, "--to", "api.example.org"));
    const database = new Sqlite(join(home, "lango.db"));
    database.exec(
      "update policies set content = replace(content, 'api.example.org', 'evil.example')",
    );
    database.close();
    const terminal = allow(home, "--to", "other.example");
    await terminal.see(ASK);
    terminal.type(`${PASSPHRASE}\r`);
    expect(await terminal.end()).toMatchObject({ exitCode: 8 });
  });

  test.each([
    [["api/key"], 2, /There is nothing to change/],
    [["api/key", "--to", "https://x.example/"], 2, /neither/],
    [["api/key", "--command", "gh"], 2, /neither/],
    [["nothing", "--to", "x.example"], 3, /There is no secret nothing/],
  ] as const)("refuses %j", async (args, exit, problem) => {
    const home = await vaultHome();
    expectOneFault(await lango(["security", "secrets", "allow", ...args], { home }), exit, problem);
  });
});

describe("the terminal surface, on real terminals", () => {
  const script = fileURLToPath(new URL("approval-child.ts", import.meta.url));
  const WRITTEN = "[y]es, once";
  const PASS = "Passphrase, to approve exec: ";

  const asking = async (
    safety: string,
    requester: string,
    { env = {}, shell }: { env?: Record<string, string>; shell?: string } = {},
  ): Promise<Terminal> => {
    const home = await vaultHome();
    const words = [
      process.execPath,
      "--conditions=@lango/source",
      script,
      home,
      PASSPHRASE,
      safety,
      requester,
    ];
    const all = { ...environment(home), ...env };
    if (shell === undefined) return new Terminal(words[0]!, words.slice(1), all);
    const command = words.map((word) => `'${word}'`).join(" ");
    return new Terminal("/bin/sh", ["-c", shell.replace("COMMAND", command)], all);
  };

  /** A process elsewhere, with no terminal. */
  const stranger = (): string => {
    const child = spawn("sleep", ["100"], { detached: true, stdio: "ignore" });
    onTestFinished(() => void child.kill("SIGKILL"));
    return `${child.pid}`;
  };

  test("a yes with the passphrase approves what is dangerous, for a process elsewhere", async () => {
    const terminal = await asking("dangerous", stranger());
    await terminal.see(WRITTEN);
    terminal.type("y\r");
    await terminal.see(PASS);
    terminal.type(`${PASSPHRASE}\r`);
    await terminal.see("approved via=terminal by=terminal grant=undefined.");
    expect(terminal.output).not.toContain(PASSPHRASE);
    // Nothing of the arguments moves the cursor, ends a line or turns the text.
    expect(terminal.output).toContain('Command line: "rm" "x\\u001b[2J\\nTool: ls"');
    expect(terminal.output).toContain('Argument "note": "\\u202e\\u0007"');
    expect(terminal.output).not.toContain("\u001b[2J");
    expect(terminal.output.split("\r\n").filter((line) => /^ *Tool:/.test(line))).toEqual([
      "  Tool: exec",
    ]);
  });

  test("and for a child in a session of its own, as under lango run", async () => {
    const terminal = await asking("dangerous", "session");
    await terminal.see(WRITTEN);
    terminal.type("y\r");
    await terminal.see(PASS);
    terminal.type("wrong\r");
    await expect.poll(() => terminal.output.split(PASS).length).toBe(3);
    terminal.type("\r");
    await terminal.see("ERR_DENIED exec was not approved: a person said no.");
  });

  test.each([
    ["a child that has this terminal", "child"],
    ["the process that made this terminal", `${process.pid}`],
    ["nobody that is known", "1"],
  ])("does not count for %s: denied at once", async (_, requester) => {
    const terminal = await asking("dangerous", requester);
    await terminal.see(
      "ERR_DENIED exec was not approved: it is dangerous, and there is no approver to ask",
    );
    expect(terminal.output).not.toContain(WRITTEN);
  });

  test("counts for them when it is not dangerous, without a passphrase; a grant is made", async () => {
    const terminal = await asking("moderate", "child");
    await terminal.see(WRITTEN);
    terminal.type("c\r");
    await expect
      .poll(() => terminal.output)
      .toMatch(/approved via=terminal by=terminal grant=[0-9a-f]{24}\./);
  });

  test.each([
    ["Ctrl-C", "\u0003", "nobody who was asked can answer"],
    ["Ctrl-D", "\u0004", "a person said no"],
    ["anything else", "sure\r", "a person said no"],
  ])("%s is no yes, and the terminal is as before", async (_, keys, reason) => {
    const shell =
      "stty -a > $LANGO_HOME/before; COMMAND; stty -a | cmp - $LANGO_HOME/before && echo same";
    const terminal = await asking("moderate", "child", { shell });
    await terminal.see(WRITTEN);
    terminal.type(keys);
    await terminal.see(`ERR_DENIED exec was not approved: ${reason}.`);
    await terminal.see("same");
  });

  test("the end of the time takes the question back, and the terminal is as before", async () => {
    const shell =
      "stty -a > $LANGO_HOME/before; COMMAND; stty -a | cmp - $LANGO_HOME/before && echo same";
    const terminal = await asking("moderate", "child", { shell, env: { APPROVAL_MS: "1500" } });
    await terminal.see(WRITTEN);
    await terminal.see("ERR_APPROVAL_TIMEOUT Nobody approved exec in time.");
    await terminal.see("same");
  });

  test("what was typed before the question is no answer", async () => {
    const terminal = await asking("moderate", "child");
    terminal.type("y\r");
    await terminal.see(WRITTEN);
    terminal.type("n\r");
    await terminal.see("ERR_DENIED exec was not approved: a person said no.");
  });
});

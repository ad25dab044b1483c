import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { Terminal } from "./terminal.ts";

const CHILD = fileURLToPath(new URL("prompt-child.ts", import.meta.url));
const NODE = ["--conditions=@lango/source", CHILD];

const hex = (text: string): string => Buffer.from(text).toString("hex");
const asking = async (how: string, label: string): Promise<Terminal> => {
  const terminal = new Terminal(process.execPath, [...NODE, how]);
  await terminal.see(label);
  return terminal;
};

/** Types into a hidden prompt and returns what the screen got and what the program got. */
async function answer(
  ...typed: (string | Buffer)[]
): Promise<{ screen: string; answer: string; exitCode: number }> {
  const terminal = await asking("hidden", "Secret: ");
  for (const part of typed) {
    terminal.type(part);
    // Apart, so that they arrive as chunks of their own.
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  const { exitCode } = await terminal.end();
  return {
    screen: terminal.output.split("Secret: ")[1]?.split("\r\n")[0] ?? "",
    answer: /(?:answer|failed)=(.*)\./.exec(terminal.output)?.[1] ?? "",
    exitCode,
  };
}

describe("a hidden prompt", () => {
  test("echoes stars and returns the bytes", async () => {
    const result = await answer("correct horse\r");
    expect(result).toEqual({ screen: "*".repeat(13), answer: hex("correct horse"), exitCode: 0 });
  });
  test("shows one star for a character of several bytes, also when it comes in two parts", async () => {
    const snowman = Buffer.from("☃");
    const result = await answer("pä", snowman.subarray(0, 1), snowman.subarray(1), "\n");
    expect(result).toMatchObject({ screen: "***", answer: hex("pä☃") });
  });
  test("erases whole characters with Backspace", async () => {
    const result = await answer("aé☃\u007f\u007f\bb\r");
    expect(result.answer).toBe(hex("b"));
    expect(result.screen).toBe("***\b \b\b \b\b \b*");
  });
  test("erases the line with Ctrl-U", async () => {
    expect((await answer("wrong\u0015right\r")).answer).toBe(hex("right"));
  });
  test("takes a paste, brackets and line ending or not", async () => {
    expect((await answer("\u001b[200~pasted text\u001b[201~\r\n")).answer).toBe(hex("pasted text"));
  });
  test("takes a long paste", async () => {
    const long = "x".repeat(20_000);
    expect((await answer(`${long}\r`)).answer).toBe(hex(long));
  });
  test("ignores arrow keys, keeps tabs", async () => {
    expect((await answer("a\u001b[Ab\u001bOCc\u001b", "[", "3~d\te\r")).answer).toBe(
      hex("abcd\te"),
    );
  });
  test("is given up with Ctrl-D on an empty line; else Ctrl-D ends the line", async () => {
    expect((await answer("\u0004")).answer).toBe("none");
    expect((await answer("abc\u0004")).answer).toBe(hex("abc"));
  });
  test("rejects with an AbortError at Ctrl-C", async () => {
    expect(await answer("secret\u0003")).toMatchObject({ answer: "AbortError", exitCode: 130 });
  });
  test("leaves what was typed ahead for the next question", async () => {
    const terminal = await asking("twice", "First: ");
    terminal.type("one one\rtwo two\r");
    await terminal.end();
    expect(terminal.output).toContain(`answer=${hex("one one")},${hex("two two")}.`);
    expect(terminal.output).not.toContain("two two");
  });
  test("refuses to ask where there is no terminal", () => {
    const { stdout } = spawnSync(process.execPath, [...NODE, "hidden"], {
      stdio: ["ignore", "pipe"],
    });
    expect(stdout.toString()).toContain("failed=CryptoError.");
  });
});

describe("a visible prompt", () => {
  test("shows what is typed", async () => {
    const terminal = await asking("line", "Line: ");
    terminal.type("naïve ☃x\u007f\r");
    await terminal.end();
    expect(terminal.output).toContain("Line: naïve ☃x\b \b\r\n");
    expect(terminal.output).toContain("answer=naïve ☃.");
  });
  test.each([
    ["y\r", true],
    ["YES\r", true],
    ["\r", false],
    ["n\r", false],
    ["yesterday\r", false],
    ["\u0004", false],
  ])("takes %j for %s", async (typed, expected) => {
    const terminal = await asking("confirm", "Sure? [y/N] ");
    terminal.type(typed);
    await terminal.end();
    expect(terminal.output).toContain(`answer=${expected}.`);
  });
});

describe("the terminal is as before", () => {
  /** Runs a prompt under a shell that shows the settings of the terminal before and after. */
  const inShell = async (how: string): Promise<Terminal> => {
    const command = `stty -g; "$0" "$@"; echo status=$?; stty -g; echo done`;
    const terminal = new Terminal("sh", ["-c", command, process.execPath, ...NODE, how]);
    await terminal.see("Secret: ");
    return terminal;
  };
  const expectRestored = async (terminal: Terminal): Promise<void> => {
    await terminal.end();
    const settings = terminal.output.match(/^[0-9a-f:]{20,}\r?$/gm);
    expect(settings).toHaveLength(2);
    expect(settings?.[1]).toBe(settings?.[0]);
  };

  test("after an answer", async () => {
    const terminal = await inShell("hidden");
    terminal.type("correct horse\r");
    await expectRestored(terminal);
    expect(terminal.output).toContain("status=0");
  });
  test("after Ctrl-C", async () => {
    const terminal = await inShell("hidden");
    terminal.type("\u0003");
    await expectRestored(terminal);
    expect(terminal.output).toContain("status=130");
  });
  test("after an error that nobody caught", async () => {
    const terminal = await inShell("throw");
    await expectRestored(terminal);
    expect(terminal.output).toContain("status=1");
  });
  test.each([
    ["SIGTERM", 143],
    ["SIGHUP", 129],
    ["SIGINT", 130],
  ] as const)("after %s, which still ends the process", async (signal, status) => {
    const terminal = await inShell("hidden");
    process.kill(terminal.childPid(), signal);
    await expectRestored(terminal);
    expect(terminal.output).toContain(`status=${status}`);
  });
});

test("a terminal that goes away ends the process", async () => {
  const terminal = await asking("hidden", "Secret: ");
  const pid = terminal.childPid();
  terminal.hangUp();
  await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { utf8 } from "@lango/crypto-core";
import {
  type Action,
  type ApprovalRequest,
  createBroker,
  createTerminalSurface,
  escapeText,
  type JsonValue,
  needsApproval,
  type TerminalDevice,
  tightenPolicy,
  toolName,
} from "@lango/guard";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { report, torture } from "../../../tooling/vitest/torture.ts";
import { identitiesFrom, isTerminalApart } from "../src/approvals/processes.ts";
import { ACTION, memoryVault, policyOf } from "./approval-vault.ts";

/** Any text, rich in what could deceive. */
const text = fc
  .array(
    fc.oneof(
      fc.string({ unit: "binary", maxLength: 8 }),
      fc.constantFrom(
        ..."\u0000 \u0007 \b \n \r \t \u001b[2J \u001b]0;x\u0007 \u007f \u0085 \u009b2J \u00a0 \u00ad \u061c \u200b \u200e \u200f \u2028 \u2029 \u202a \u202e \u2066 \u2069 \u3164 \u{e0041} \ufeff \ufe0f \u05d0 \u0627 e\u0301 \\ \\u{a} \" ' : Tool: exec".split(
          " ",
        ),
      ),
      fc.constantFrom("\nTool: ls", "\r\n  Secret: none", '", "b": "', "\\n", "\u001b[1A\u001b[2K"),
    ),
    { maxLength: 6 },
  )
  .map((pieces) => pieces.join(""))
  .filter((value) => value.isWellFormed());
const name = text.filter((value) => value.length > 0 && value.length < 200);
const json = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2 },
    text,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(null, true, false),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(text, tie("value"), { maxKeys: 3 }),
  ),
})).value;
const action = fc.record(
  {
    session: name,
    tool: name,
    arguments: fc.dictionary(text, json, { maxKeys: 3 }),
    secret: name,
    destination: name,
    argv: fc.array(text, { maxLength: 4 }),
    binary: name,
    cwd: name,
    amount: name,
  },
  { requiredKeys: ["session", "tool"] },
) as fc.Arbitrary<Action>;

const summaryOf = async (given: Action): Promise<readonly string[]> => {
  let summary: readonly string[] = [];
  const broker = createBroker({ vault: memoryVault(), policy: async () => policyOf() });
  broker.addSurface({
    name: "reader",
    counts: () => true,
    ask: async (request: ApprovalRequest) => {
      summary = request.summary;
      return { approved: true, by: "reader" };
    },
  });
  await broker.decide(given, { safety: "dangerous" });
  return summary;
};

const SHOWN = torture(300, 20_000);
const PAIRS = torture(200, 20_000);

describe("what a person reads", () => {
  it("has as many lines as there are things, whatever they say, and nothing that acts on the terminal", async () => {
    await fc.assert(
      fc.asyncProperty(action, async (given) => {
        const lines = await summaryOf(given);
        const { arguments: values = {}, ...others } = given;
        expect(lines).toHaveLength(Object.keys(others).length + Object.keys(values).length);
        const beginnings = lines.map((line) => line.split(/[ :]/, 1)[0]);
        expect(beginnings).toEqual([
          ...Object.keys(values).map(() => "Argument"),
          ...[
            "Session",
            "Directory",
            "Command",
            "Program",
            "Amount",
            "Destination",
            "Secret",
            "Tool",
          ].filter(
            (_, index) =>
              [
                given.session,
                given.cwd,
                given.argv,
                given.binary,
                given.amount,
                given.destination,
                given.secret,
                given.tool,
              ][index] !== undefined,
          ),
        ]);
        for (const line of lines) {
          // Only letters, marks, digits, signs and the common space, none of which turns or joins the others.
          expect(line).toMatch(/^[\p{L}\p{Mc}\p{N}\p{P}\p{S} ]*$/u);
          expect(line).not.toMatch(/\p{Bidi_Control}|\p{Default_Ignorable_Code_Point}/u);
          expect(line).not.toMatch(/\p{Script=Hebrew}|\p{Script=Arabic}|\p{Script=Syriac}/u);
        }
      }),
      { numRuns: SHOWN },
    );
    report("hostile actions in a question", new Map([["shown safely", SHOWN]]));
  });

  const sorted = (lines: readonly string[] | undefined) => JSON.stringify(lines?.toSorted());
  const byKey = (object: object) => Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1));
  /** No arguments and an empty list of them are the same to a person. */
  const same = ({ arguments: values = {}, ...others }: Action) =>
    JSON.stringify([byKey({ ...others, tool: toolName(others.tool) }), byKey(values)]);

  it("differs when the action differs", async () => {
    await fc.assert(
      fc.asyncProperty(action, action, async (one, two) => {
        fc.pre(same(one) !== same(two));
        const lines = await Promise.all([one, two].map(summaryOf));
        // What is not shown whole is counted, and the commitment covers it.
        fc.pre(lines.flat().every((line) => !line.includes("more characters)")));
        expect(sorted(lines[0])).not.toEqual(sorted(lines[1]));
      }),
      { numRuns: PAIRS },
    );
    report("questions of two actions", new Map([["differ", PAIRS]]));
  });

  it("shows ordinary text as it is", async () => {
    expect(escapeText("Grüße, 世界! 🙂 a+b=c")).toBe("Grüße, 世界! 🙂 a+b=c");
    expect(escapeText("a\u001b[2J\u202eb\\")).toBe("a\\u{1b}[2J\\u{202e}b\\\\");
  });

  it("is cut where it would push the rest out of sight, and says so", async () => {
    const many = Object.fromEntries(
      Array.from({ length: 30 }, (_, i) => [`a${i}`, "x".repeat(5000)]),
    );
    const lines = await summaryOf({ ...ACTION, arguments: many });
    expect(lines).toHaveLength(23);
    expect(lines[20]).toBe("(and 10 more arguments)");
    expect(lines[0]).toMatch(/^Argument "a0": "x+ \(and 40\d\d more characters\)$/);
    expect(lines.at(-1)).toBe("Tool: exec");
  });
});

it("config.json can only tighten the policy of the vault", () => {
  const policy = fc.record({
    enabled: fc.boolean(),
    approvalPolicy: fc.constantFrom("dangerous", "all", "configured", "none"),
    sensitiveTools: fc.subarray(["a.b", "a_b", "c"]),
    exemptTools: fc.subarray(["a.b", "c", "d"]),
  });
  fc.assert(
    fc.property(
      policy,
      policy,
      fc.constantFrom("a.b", "a_b", "c", "d", "e"),
      (vault, config, tool) => {
        const both = tightenPolicy(vault, config);
        const isExempt = vault.exemptTools.map(toolName).includes(toolName(tool));
        const added = { ...config, exemptTools: [] };
        for (const safety of ["safe", "moderate", "dangerous"] as const) {
          // Nothing that the vault asks for is let through; what the configuration adds is added, unless the vault exempts it.
          const isAsked =
            needsApproval(vault, tool, safety) || (!isExempt && needsApproval(added, tool, safety));
          if (isAsked) expect(needsApproval(both, tool, safety)).toBe(true);
        }
      },
    ),
    { numRuns: 2000 },
  );
  const vault = policyOf({ exemptTools: ["a", "b"] });
  expect(tightenPolicy(vault, policyOf()).exemptTools).toEqual(["a", "b"]);
  expect(tightenPolicy(vault, policyOf({ exemptTools: ["b", "c"] })).exemptTools).toEqual(["b"]);
  const dotted = policyOf({ exemptTools: ["a.b"] });
  expect(tightenPolicy(dotted, policyOf({ exemptTools: ["a_b"] })).exemptTools).toEqual(["a.b"]);
  expect(tightenPolicy(vault, policyOf({ approvalPolicy: "none" })).approvalPolicy).toBe(
    "dangerous",
  );
  expect(tightenPolicy(vault, policyOf({ approvalPolicy: "all" })).approvalPolicy).toBe("all");
});

describe("the process tree", () => {
  it("names a process so that it is never taken for another", async () => {
    const [own, parent] = identitiesFrom(process.pid);
    expect(own).toMatch(new RegExp(`^linux:[0-9a-f-]{36}:${process.pid}:[0-9]+$`));
    expect(parent).toContain(`:${process.ppid}:`);
    const child = spawn("sleep", ["60"]);
    onTestFinished(() => void child.kill("SIGKILL"));
    await once(child, "spawn");
    const lineage = identitiesFrom(child.pid!);
    expect(lineage.slice(1)).toEqual(identitiesFrom(process.pid));
    child.kill("SIGKILL");
    await once(child, "close");
    expect(identitiesFrom(child.pid!)).toEqual([]);
  });

  it("is not taken in by what a process calls itself; the first process is in no tree", async () => {
    const folder = mkdtempSync(join(tmpdir(), "lango-name-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const name = join(folder, "x) S 1 1 1 1");
    symlinkSync("/bin/sh", name);
    const child = spawn(name, ["-c", "read line"], { stdio: ["pipe", "ignore", "ignore"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    await once(child, "spawn");
    expect(identitiesFrom(child.pid!).slice(1)).toEqual(identitiesFrom(process.pid));
    expect(identitiesFrom(1)).toEqual([]);
  });

  it("a terminal that is not known, and a requester that is not, are never apart", () => {
    expect(isTerminalApart(0, process.ppid)).toBe(false);
    for (const pid of [0, 1, -1, process.pid, 2 ** 22 + 1])
      expect(isTerminalApart(0x8801, pid)).toBe(false);
    // Nobody sits at that one.
    expect(isTerminalApart(0x7ff01, process.ppid)).toBe(true);
  });
});

describe("a terminal of real processes", () => {
  /** Runs a line of a shell, which says when it is ready, in a terminal of its own with `script`, or without any. */
  const start = async (line: string, isTerminal: boolean) => {
    const [program, args] = isTerminal
      ? ["script", ["-qfec", line, "/dev/null"]]
      : ["setsid", ["-w", "sh", "-c", line]];
    const child = spawn(program as string, args as string[], { stdio: ["pipe", "pipe", "ignore"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    let said = "";
    while (!/ready (\d+) (\d+)/.test(said)) said += String((await once(child.stdout!, "data"))[0]);
    const [, pid, terminal] = /ready (\d+) (\d+)/.exec(said)!;
    return { pid: Number(pid), terminal: Number(terminal) };
  };
  const READY = "echo ready $$ $(cut -d' ' -f7 /proc/$$/stat)";

  it("is not apart from who sits at it, from those below, and from those above", async () => {
    const alone = await start(`${READY}; read line`, true);
    expect(alone.terminal).toBeGreaterThan(0);
    expect(isTerminalApart(alone.terminal, alone.pid)).toBe(false);
    // `script` itself has another terminal, or none: the shell below it has this one.
    const above = identitiesFrom(alone.pid)[1]!;
    expect(isTerminalApart(alone.terminal, Number(above.split(":")[2]))).toBe(false);
    // One that has left the terminal of those above it: they could type there for it.
    const left = await start(
      `setsid sh -c "${READY.replaceAll("$", "\\$")}; exec sleep 15" & wait`,
      true,
    );
    expect(left.terminal).toBe(0);
    const shell = Number(identitiesFrom(left.pid)[1]!.split(":")[2]);
    const terminal = terminalOf(shell);
    expect(terminal).toBeGreaterThan(0);
    expect(isTerminalApart(terminal, left.pid)).toBe(false);
  });

  it("is apart from another window, and from what has none, below this process too", async () => {
    const one = await start(`${READY}; read line`, true);
    const other = await start(`${READY}; read line`, true);
    const none = await start(`${READY}; read line`, false);
    expect(none.terminal).toBe(0);
    expect(isTerminalApart(one.terminal, other.pid)).toBe(true);
    expect(isTerminalApart(other.terminal, one.pid)).toBe(true);
    expect(isTerminalApart(one.terminal, none.pid)).toBe(true);
  });
});

const terminalOf = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]!.split(" ")[4]);

describe("the terminal surface", () => {
  const PASSPHRASE = "correct horse";
  /** A terminal of another window, with a person who types these lines. */
  const device = (lines: readonly (string | undefined)[], number: number | undefined = 0x7ff01) => {
    const typed = [...lines];
    const seen: string[] = [];
    let open = 0;
    const made: TerminalDevice & { readonly seen: string[] } = {
      seen,
      number: () => number,
      async ask({ lines: shown, label, hidden }) {
        open += 1;
        expect(open).toBe(1);
        seen.push(...shown, `${hidden ? "hidden " : ""}${label}`);
        await new Promise((resolve) => setImmediate(resolve));
        open -= 1;
        const line = typed.shift();
        return line === undefined ? undefined : utf8(line);
      },
    };
    return made;
  };
  const verify = async (passphrase: Uint8Array) =>
    new TextDecoder().decode(passphrase) === PASSPHRASE;
  const request = (more: Partial<ApprovalRequest> = {}): ApprovalRequest => ({
    ...ACTION,
    id: "1",
    commitment: new Uint8Array(32),
    createdAt: 0,
    expiresAt: 1,
    dangerous: true,
    requester: { processId: process.ppid },
    summary: ["Tool: exec"],
    ...more,
  });
  const answer = (lines: readonly (string | undefined)[], more: Partial<ApprovalRequest> = {}) =>
    createTerminalSurface({ device: device(lines), verify }).ask(
      request(more),
      new AbortController().signal,
    );

  it("counts for what is dangerous with a passphrase, at a terminal that is apart", () => {
    const at = device([]);
    const surface = createTerminalSurface({ device: at, verify });
    expect(surface.counts(request())).toBe(true);
    expect(surface.counts(request({ requester: {} }))).toBe(false);
    expect(createTerminalSurface({ device: at }).counts(request())).toBe(false);
    const unknown = createTerminalSurface({ device: device([], 0), verify });
    expect(unknown.counts(request())).toBe(false);
    expect(unknown.counts(request({ dangerous: false }))).toBe(true);
    const nowhere: TerminalDevice = { ...device([]), number: () => undefined };
    expect(
      createTerminalSurface({ device: nowhere, verify }).counts(request({ dangerous: false })),
    ).toBe(false);
  });

  it("takes the passphrase after the yes, three times at most", async () => {
    expect(await answer(["y", PASSPHRASE])).toEqual({
      approved: true,
      by: "terminal",
      scope: "once",
    });
    expect(await answer(["y", "wrong", "wrong", PASSPHRASE])).toMatchObject({ approved: true });
    for (const lines of [
      ["y", "a", "b", "c", PASSPHRASE],
      ["y", "", PASSPHRASE],
      ["y", undefined],
      ["n", PASSPHRASE],
      [PASSPHRASE],
      ["", PASSPHRASE],
      [undefined],
    ]) {
      expect(await answer(lines)).toEqual({ approved: false, by: "terminal" });
    }
  });

  it("zeroes the passphrase", async () => {
    const typed = [Buffer.from("y"), Buffer.from("wrong"), Buffer.from(PASSPHRASE)];
    const lines = typed.map((line) => new Uint8Array(line));
    const asked = [...lines];
    const at = { ...device([]), ask: async () => asked.shift() };
    const surface = createTerminalSurface({ device: at, verify });
    expect(await surface.ask(request(), new AbortController().signal)).toMatchObject({
      approved: true,
    });
    for (const line of lines.slice(1)) expect(line.every((byte) => byte === 0)).toBe(true);
  });

  it("asks for no passphrase when it is not dangerous, and offers what the action has", async () => {
    const harmless = { dangerous: false };
    expect(await answer([" Y "], harmless)).toMatchObject({ approved: true, scope: "once" });
    expect(await answer(["m"], harmless)).toMatchObject({ scope: { minutes: 15 } });
    expect(await answer(["c"], harmless)).toMatchObject({ approved: false });
    const full = { ...harmless, binary: "/bin/ls", destination: "h:443" };
    expect(await answer(["c"], full)).toMatchObject({ scope: "command" });
    expect(await answer(["d"], full)).toMatchObject({ scope: "destination" });
    expect(await answer(["p"], full)).toMatchObject({ scope: "process-tree" });
    expect(await answer(["p"], { ...full, requester: {} })).toMatchObject({ approved: false });
  });

  it("asks one question at a time, and none that is over", async () => {
    const at = device(["y", "n", "y"]);
    const surface = createTerminalSurface({ device: at, verify });
    const over = new AbortController();
    const asked = [new AbortController(), new AbortController(), over, new AbortController()].map(
      ({ signal }) => surface.ask(request({ dangerous: false }), signal).catch((reason) => reason),
    );
    over.abort("over");
    expect(await Promise.all(asked)).toMatchObject([
      { approved: true },
      { approved: false },
      "over",
      { approved: true },
    ]);
    expect(at.seen.filter((line) => line.includes("asks for your approval"))).toHaveLength(3);
    expect(at.seen[2]).toBe("  Tool: exec");
  });
});

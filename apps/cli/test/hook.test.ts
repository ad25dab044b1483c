import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { expectOneFault, folder, lango, langoJson, SECRET, sharedVaultHome } from "./support.ts";

let home: string;
beforeAll(async () => {
  home = await sharedVaultHome();
});

const hook = (agent: string, event: unknown, env: Record<string, string | undefined> = {}) =>
  lango(["hook", agent, "--respond"], { home, env, input: JSON.stringify(event) });
const respond = async (...args: Parameters<typeof hook>) => {
  const ran = await hook(...args);
  expect(ran.code, ran.stderr).toBe(0);
  expect(ran.stdout).not.toContain(SECRET);
  return ran.stdout === "" ? undefined : JSON.parse(ran.stdout);
};

/** What events of Claude Code and Codex have, by their documents; `model` and `turn_id` are Codex's. */
const COMMON = {
  model: "gpt-5.2-codex",
  turn_id: "turn-1",
  duration_ms: 12,
  session_id: "abc123",
  transcript_path: "/home/me/.claude/projects/x/abc123.jsonl",
  cwd: "/",
  permission_mode: "default",
  tool_use_id: "toolu_01ABC123",
};
const before = (tool_name: string, tool_input: unknown) => ({
  ...COMMON,
  hook_event_name: "PreToolUse",
  tool_name,
  tool_input,
});
const after = (tool_name: string, tool_response: unknown) => ({
  ...COMMON,
  hook_event_name: "PostToolUse",
  tool_name,
  tool_input: {},
  tool_response,
});
const DENIED = {
  hookSpecificOutput: {
    hookEventName: "PreToolUse",
    permissionDecision: "deny",
    permissionDecisionReason: expect.stringMatching(/files of the lango vault/),
  },
};

describe.each(["claude-code", "codex"])("%s", (agent) => {
  test("its configuration calls lango before and after every tool", async () => {
    const ran = await lango(["hook", agent], { home: "/nonexistent" });
    expect(ran.code).toBe(0);
    const entry = [
      {
        hooks: [{ type: "command", command: `lango hook ${agent} --respond`, timeout: 60 }],
      },
    ];
    expect(JSON.parse(ran.stdout)).toEqual({ hooks: { PreToolUse: entry, PostToolUse: entry } });
    expect(ran.stderr).toMatch(/settings\.json|hooks\.json/);
  });

  test("the vault's files are not read, by any path", async () => {
    const link = join(folder(), "link");
    symlinkSync(home, link);
    for (const event of [
      before("Read", { file_path: join(home, "lango.db") }),
      before("Read", { file_path: join(link, "keyslots.json") }),
      before("Grep", { pattern: "x", path: home }),
      before("Write", { file_path: join(home, "new/file"), content: "" }),
      before("Bash", { command: `sqlite3 ${home}/lango.db .dump` }),
      before("Bash", { command: ["bash", "-lc", `cat ${home}/passphrase`] }),
    ]) {
      expect(await respond(agent, event)).toEqual(DENIED);
    }
    const relative = { ...before("Read", { file_path: "lango.db" }), cwd: home };
    expect(await respond(agent, relative)).toEqual(DENIED);
  });

  test("everything else goes on, without a look into the vault", async () => {
    const elsewhere = join(folder(), "x");
    mkdirSync(elsewhere);
    for (const event of [
      before("Read", { file_path: `${home}-other/file` }),
      before("Bash", { command: "ls" }),
      { ...COMMON, hook_event_name: "Stop" },
    ]) {
      expect(await respond(agent, event, { LANGO_PASSPHRASE: undefined })).toBeUndefined();
    }
    expect(await respond(agent, after("Bash", { stdout: "clean" }))).toBeUndefined();
  });

  test("what is no event is an error", async () => {
    expectOneFault(await hook(agent, []), 2, /no event of an agent/);
  });
});

test("an agent that is not known is an error", async () => {
  expectOneFault(await lango(["hook", "toString"], { home }), 2, /no hooks for toString/);
});

describe("the output of a tool", () => {
  const output = { stdout: `key "${SECRET}"\n`, stderr: "", lines: [1, null, SECRET], n: 2 };
  const masked = {
    stdout: 'key "[SECRET:api/key]"\n',
    stderr: "",
    lines: [1, null, "[SECRET:api/key]"],
    n: 2,
  };

  test("is masked for Claude Code in its own form", async () => {
    expect(await respond("claude-code", after("Bash", output))).toEqual({
      hookSpecificOutput: { hookEventName: "PostToolUse", updatedToolOutput: masked },
    });
    expect(await respond("claude-code", after("mcp__db__query", output))).toEqual({
      hookSpecificOutput: {
        hookEventName: "PostToolUse",
        updatedToolOutput: masked,
        updatedMCPToolOutput: masked,
      },
    });
  });

  test("is shown to Codex masked, in the place of it", async () => {
    const answer = await respond("codex", after("Bash", `key ${SECRET}\n`));
    expect(answer).toEqual({
      decision: "block",
      reason: "The output had secrets in it. Masked, it is:\nkey [SECRET:api/key]\n",
    });
    const other = await respond("codex", after("mcp__db__query", output));
    expect(other.reason).toContain(JSON.stringify(masked));
  });

  test("keeps the form that Claude Code's own tools have, without the copy in a file", async () => {
    const bash = { stdout: `${SECRET}\n`, stderr: "", interrupted: false, isImage: false };
    const kept = { persistedOutputPath: "/home/me/.claude/x/out.txt", persistedOutputSize: 90_000 };
    expect(await respond("claude-code", after("Bash", { ...bash, ...kept }))).toEqual({
      hookSpecificOutput: {
        hookEventName: "PostToolUse",
        updatedToolOutput: { ...bash, stdout: "[SECRET:api/key]\n" },
      },
    });
    const read = (content: string) => ({
      type: "text",
      file: { filePath: "/a/b", content, numLines: 1, startLine: 1, totalLines: 1 },
    });
    const answer = await respond("claude-code", after("Read", read(`x ${SECRET}`)));
    expect(answer.hookSpecificOutput.updatedToolOutput).toEqual(read("x [SECRET:api/key]"));
  });

  test("is not shown when the vault cannot be opened", async () => {
    const locked = { LANGO_PASSPHRASE: undefined };
    const note = expect.stringMatching(/^\[lango could not look for secrets in this: /);
    const shown = async (tool: string, tool_response: unknown) =>
      (await respond("claude-code", after(tool, tool_response), locked)).hookSpecificOutput
        .updatedToolOutput;
    // Of another form it would be ignored, and the output shown as it was.
    expect(await shown("Bash", output)).toEqual({
      stdout: note,
      stderr: note,
      lines: [1, null, note],
      n: 2,
    });
    const file = { filePath: "/a/b", content: SECRET, numLines: 1, startLine: 1, totalLines: 1 };
    expect(await shown("Read", { type: "text", file })).toEqual({
      type: "text",
      file: { ...file, filePath: note, content: note },
    });
    expect(await shown("mcp__db__query", SECRET)).toEqual(note);
    expect(await respond("codex", after("Bash", "x"), locked)).toEqual({
      decision: "block",
      reason: note,
    });
  });
});

describe("cursor", () => {
  const COMMON_FIELDS = {
    conversation_id: "conv-123",
    generation_id: "gen-456",
    model: "a-model",
    cursor_version: "2.4.0",
    workspace_roots: ["/path/to/project"],
    user_email: null,
    transcript_path: null,
  };
  const event = (hook_event_name: string, fields: object) => ({
    ...COMMON_FIELDS,
    hook_event_name,
    ...fields,
  });
  const fileDenied = (reason: RegExp) => ({
    permission: "deny",
    user_message: expect.stringMatching(reason),
  });
  const denied = (reason: RegExp) => ({
    ...fileDenied(reason),
    agent_message: expect.stringMatching(reason),
  });

  test("its configuration is version 1 and fails closed", async () => {
    const { document } = await langoJson(["hook", "cursor"], { home });
    const { file, configuration } = document.data;
    expect(file).toBe("~/.cursor/hooks.json");
    expect(configuration.version).toBe(1);
    for (const name of ["beforeShellExecution", "beforeReadFile", "postToolUse"]) {
      expect(configuration.hooks[name]).toEqual([
        { command: "lango hook cursor --respond", failClosed: true },
      ]);
    }
  });

  test("files of the vault and files with secrets in them are not read", async () => {
    const path = join(folder(), "notes");
    writeFileSync(path, SECRET);
    const read = (file_path: string, content: string) =>
      event("beforeReadFile", { file_path, content, attachments: [] });
    expect(await respond("cursor", read(join(home, "lango.db"), ""))).toEqual(
      fileDenied(/the lango vault/),
    );
    expect(await respond("cursor", read(path, `a ${SECRET}`))).toEqual(
      fileDenied(/stands in this file/),
    );
    expect(await respond("cursor", read(path, "a"))).toEqual({ permission: "allow" });
    const locked = { LANGO_PASSPHRASE: undefined };
    expect(await respond("cursor", read(path, "a"), locked)).toEqual(fileDenied(/could not look/));
  });

  test("commands and MCP tools that name the vault's files are refused", async () => {
    const shell = (command: string) =>
      event("beforeShellExecution", { command, cwd: "/", sandbox: false });
    expect(await respond("cursor", shell(`cat ${home}/lango.db`))).toEqual(
      denied(/the lango vault/),
    );
    expect(await respond("cursor", shell("npm install"))).toEqual({ permission: "allow" });
    const mcp = event("beforeMCPExecution", {
      tool_name: "read",
      tool_input: JSON.stringify({ path: home }),
      mcp_server_name: "files",
      command: "npx files-server",
    });
    expect(await respond("cursor", mcp)).toEqual(denied(/the lango vault/));
  });

  describe("the output of an MCP tool", () => {
    const used = (tool_output: string, tool_name = "MCP:db") =>
      event("postToolUse", {
        ...{ tool_name, tool_input: {}, tool_output, tool_use_id: "abc123" },
        ...{ cwd: "/project", duration: 5432 },
      });
    const content = (text: string) => ({ content: [{ type: "text", text }] });

    test("is masked, and always an object", async () => {
      const masked = { updated_mcp_tool_output: content("x [SECRET:api/key]") };
      const json = JSON.stringify(content(`x ${SECRET}`));
      expect(await respond("cursor", used(json))).toEqual(masked);
      expect(await respond("cursor", used(`x ${SECRET}`))).toEqual(masked);
      expect(await respond("cursor", used(JSON.stringify([SECRET])))).toEqual({
        updated_mcp_tool_output: content('["[SECRET:api/key]"]'),
      });
    });

    test("is left alone where there is no secret, with an answer all the same", async () => {
      expect(await respond("cursor", used(JSON.stringify(content("clean"))))).toEqual({});
      expect(await respond("cursor", used('{"exitCode":0}', "Shell"))).toEqual({});
    });

    test("is not shown when the vault cannot be opened", async () => {
      const json = JSON.stringify(content("x"));
      expect(await respond("cursor", used(json), { LANGO_PASSPHRASE: undefined })).toEqual({
        updated_mcp_tool_output: content(expect.stringMatching(/could not look/)),
      });
    });
  });
});

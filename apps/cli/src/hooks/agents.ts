import { isObject, type JsonObject, object, text } from "./event.ts";

/** What a hook has to do with an event. */
export type Task =
  /** Refuse it if it touches the vault's files. */
  | { readonly kind: "guard"; readonly input: JsonObject }
  /** Refuse it if a secret stands in what would be read. */
  | { readonly kind: "check"; readonly input: JsonObject; readonly content: unknown }
  /** Mask what a tool gave. */
  | { readonly kind: "mask"; readonly output: unknown };

/** How one agent is told of hooks, and what it understands. */
export interface Agent {
  /** Where the configuration belongs. */
  readonly file: string;
  readonly configuration: (command: string) => JsonObject;
  /** `undefined` for events that need nothing. */
  readonly task: (event: JsonObject) => Task | undefined;
  readonly allow: JsonObject | undefined;
  readonly deny: (reason: string, event: JsonObject) => JsonObject;
  readonly replace: (output: unknown, event: JsonObject) => JsonObject;
}

const handler = (command: string): JsonObject => ({ type: "command", command, timeout: 60 });

/** Events that Claude Code and Codex have in common. */
const toolTask = (event: JsonObject): Task | undefined => {
  const name = event["hook_event_name"];
  if (name === "PreToolUse") return { kind: "guard", input: object(event["tool_input"]) };
  return name === "PostToolUse" ? { kind: "mask", output: event["tool_response"] } : undefined;
};
const denyTool = (permissionDecisionReason: string): JsonObject => ({
  hookSpecificOutput: {
    hookEventName: "PreToolUse",
    permissionDecision: "deny",
    permissionDecisionReason,
  },
});

/** https://code.claude.com/docs/en/hooks (PreToolUse and PostToolUse decision control). */
const claudeCode: Agent = {
  file: "~/.claude/settings.json",
  configuration: (command) => ({
    hooks: {
      // Without a matcher: for every tool.
      PreToolUse: [{ hooks: [handler(command)] }],
      PostToolUse: [{ hooks: [handler(command)] }],
    },
  }),
  task: toolTask,
  allow: undefined,
  deny: denyTool,
  replace: (output, event) => ({
    hookSpecificOutput: {
      hookEventName: "PostToolUse",
      updatedToolOutput: output,
      // What versions before 2026 know, for tools of MCP servers.
      ...(text(event["tool_name"]).startsWith("mcp__") ? { updatedMCPToolOutput: output } : {}),
    },
  }),
};

/** https://developers.openai.com/codex/hooks (PreToolUse, PostToolUse). */
const codex: Agent = {
  file: "~/.codex/hooks.json",
  configuration: claudeCode.configuration,
  task: toolTask,
  allow: undefined,
  deny: denyTool,
  // It takes no other output, but shows the reason of a block in the place of it.
  replace: (output) => ({
    decision: "block",
    reason: `The output had secrets in it. Masked, it is:\n${typeof output === "string" ? output : JSON.stringify(output)}`,
  }),
};

/** https://cursor.com/docs/agent/hooks. The output of a shell cannot be replaced there: `lango run` has to mask it. */
const cursor: Agent = {
  file: "~/.cursor/hooks.json",
  configuration: (command) => ({
    version: 1,
    hooks: Object.fromEntries(
      ["beforeShellExecution", "beforeMCPExecution", "beforeReadFile", "postToolUse"].map(
        (name) => [name, [{ command, failClosed: true }]],
      ),
    ),
  }),
  task(event) {
    switch (event["hook_event_name"]) {
      case "beforeShellExecution":
        return { kind: "guard", input: event };
      case "beforeMCPExecution":
        return { kind: "guard", input: inputOf(event["tool_input"]) };
      case "beforeReadFile":
        return { kind: "check", input: event, content: event["content"] };
      case "postToolUse":
        return text(event["tool_name"]).startsWith("MCP:")
          ? { kind: "mask", output: inputOf(event["tool_output"]) }
          : undefined;
      default:
        return undefined;
    }
  },
  allow: { permission: "allow" },
  deny: (reason) => ({ permission: "deny", user_message: reason, agent_message: reason }),
  replace: (output) => ({ updated_mcp_tool_output: output }),
};

/** Some fields hold JSON as a text. */
function inputOf(value: unknown): JsonObject {
  if (typeof value !== "string") return object(value);
  try {
    const parsed: unknown = JSON.parse(value);
    return isObject(parsed) ? parsed : { text: value };
  } catch {
    return { text: value };
  }
}

export type AgentName = "claude-code" | "codex" | "cursor";
export const AGENTS: Readonly<Record<AgentName, Agent>> = {
  "claude-code": claudeCode,
  codex,
  cursor,
};

import { isObject, type JsonObject, object, text } from "./event.ts";
import { withhold } from "./withhold.ts";

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
  /** A masked output for the one that a tool gave. */
  readonly replace: (output: unknown, event: JsonObject) => JsonObject;
  /** The same when nothing of it may be shown. */
  readonly withhold: (note: string, event: JsonObject) => JsonObject;
  /** What is answered when nothing has to change. Default: nothing. */
  readonly pass?: JsonObject;
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

const isMcp = (event: JsonObject): boolean => text(event["tool_name"]).startsWith("mcp__");

const replaceForClaude = (output: unknown, event: JsonObject): JsonObject => ({
  hookSpecificOutput: {
    hookEventName: "PostToolUse",
    updatedToolOutput: isObject(output) ? withoutKeptCopy(output) : output,
    // Tools of MCP servers only; what versions before 2.1.121 know.
    ...(isMcp(event) ? { updatedMCPToolOutput: output } : {}),
  },
});

/** Of a long output Claude Code keeps a copy in a file, which would be shown in the place of the masked one. */
const withoutKeptCopy = (output: JsonObject): JsonObject => {
  const { persistedOutputPath, persistedOutputSize, ...rest } = output;
  return rest;
};

/**
 * https://code.claude.com/docs/en/hooks (PreToolUse and PostToolUse decision control). There: "For built-in tools, a value
 * that doesn't match the tool's output schema is ignored and the original output is used"; so the shape is always kept.
 */
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
  replace: replaceForClaude,
  withhold: (note, event) => replaceForClaude(withhold(event["tool_response"], note), event),
};

/** It takes no other output, but shows the reason of a block in the place of it. */
const blockOutput = (reason: string): JsonObject => ({ decision: "block", reason });

/** https://developers.openai.com/codex/hooks (PreToolUse, PostToolUse). */
const codex: Agent = {
  file: "~/.codex/hooks.json",
  configuration: claudeCode.configuration,
  task: toolTask,
  allow: undefined,
  deny: denyTool,
  replace: (output) =>
    blockOutput(
      `The output had secrets in it. Masked, it is:\n${typeof output === "string" ? output : JSON.stringify(output)}`,
    ),
  withhold: blockOutput,
};

/**
 * https://cursor.com/docs/hooks (Agent hook events). The output of a shell cannot be replaced there: `lango run` has to mask
 * it.
 */
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
        return { kind: "guard", input: object(parsed(event["tool_input"])) };
      case "beforeReadFile":
        return { kind: "check", input: event, content: event["content"] };
      case "postToolUse":
        return text(event["tool_name"]).startsWith("MCP:")
          ? { kind: "mask", output: parsed(event["tool_output"]) }
          : undefined;
      default:
        return undefined;
    }
  },
  allow: { permission: "allow" },
  deny: (reason, event) => ({
    permission: "deny",
    user_message: reason,
    // The answer about a file has no field for the agent.
    ...(event["hook_event_name"] === "beforeReadFile" ? {} : { agent_message: reason }),
  }),
  // The field takes an object.
  replace: (output) => ({
    updated_mcp_tool_output: isObject(output) ? output : textContent(JSON.stringify(output)),
  }),
  withhold: (note) => ({ updated_mcp_tool_output: textContent(note) }),
  // No answer counts as a failure, which `failClosed` makes a refusal.
  pass: {},
};

/** A result of an MCP tool: one text. */
const textContent = (text: string): JsonObject => ({ content: [{ type: "text", text }] });

/** Some fields hold JSON as a text. */
function parsed(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return textContent(value);
  }
}

export type AgentName = "claude-code" | "codex" | "cursor";
export const AGENTS: Readonly<Record<AgentName, Agent>> = {
  "claude-code": claudeCode,
  codex,
  cursor,
};

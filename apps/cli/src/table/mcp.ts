import type { Command } from "../cli/command.ts";

export const MCP_COMMANDS: readonly Command[] = [
  {
    path: "mcp serve",
    summary: "serve the tools of agents over the Model Context Protocol on stdin and stdout",
    examples: [
      "lango mcp serve",
      "lango mcp serve --passphrase-fd 3 3< passphrase.txt",
      "lango mcp serve --print-config claude-code > .mcp.json",
    ],
    options: {
      "print-config": {
        type: "string",
        value: "CLIENT",
        choices: ["claude-code", "cursor", "codex"],
        summary: "print what the client's configuration needs, and end",
      },
    },
    unlocks: true,
    load: () => import("../commands/mcp-serve.ts"),
  },
];

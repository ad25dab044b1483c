import type { Command } from "../cli/command.ts";

export const APPROVALS_COMMANDS: readonly Command[] = [
  {
    path: "approvals list",
    summary: "list what agents may do without asking, and the last decisions",
    examples: ["lango approvals list", "lango approvals list --count 100 --json"],
    options: {
      count: { type: "string", value: "N", summary: "how many decisions to show (20)" },
    },
    unlocks: true,
    load: () => import("../commands/approvals-list.ts"),
  },
  {
    path: "approvals grant",
    summary: "let agents do something for a while; asks for the passphrase at the terminal",
    examples: [
      "lango approvals grant http_request --secret github --to api.github.com --for 8h",
      "lango approvals grant exec --command /usr/bin/git --word git --word push --uses 1",
    ],
    positionals: [{ name: "TOOL" }],
    options: {
      to: { type: "string", value: "HOST", summary: "to this host, host:port or program" },
      command: { type: "string", value: "PATH", summary: "by this program" },
      word: {
        type: "string",
        value: "WORD",
        multiple: true,
        summary: "with exactly these words, the name of the program first",
      },
      cwd: { type: "string", value: "FOLDER", summary: "run in this folder" },
      arguments: { type: "string", value: "JSON", summary: "with exactly these arguments" },
      secret: { type: "string", value: "NAME", summary: "with this secret" },
      amount: { type: "string", value: "AMOUNT", summary: "for exactly this amount" },
      session: { type: "string", value: "ID", summary: "in this session (default: in any)" },
      for: { type: "string", value: "TIME", summary: "how long, such as 30m or 8h (1h)" },
      uses: { type: "string", value: "N", summary: "how often (default: as often as wanted)" },
    },
    writes: true,
    load: () => import("../commands/approvals-grant.ts"),
  },
  {
    path: "approvals revoke",
    summary: "take a grant or a handle back",
    examples: ["lango approvals revoke 5f0c3e9a2b7d41f08c6e1a9d"],
    positionals: [{ name: "ID" }],
    unlocks: true,
    load: () => import("../commands/approvals-revoke.ts"),
  },
  {
    path: "approvals policy",
    summary: "show when agents need an approval, or change it with the passphrase at the terminal",
    examples: [
      "lango approvals policy",
      "lango approvals policy --ask all --exempt files_read",
      "lango approvals policy --ask dangerous --sensitive mail_send",
    ],
    options: {
      ask: {
        type: "string",
        value: "WHICH",
        choices: ["dangerous", "all", "configured", "none"],
        summary: "the tools that need approval",
      },
      enabled: {
        type: "string",
        value: "WHETHER",
        choices: ["true", "false"],
        summary: "whether tools need approval at all",
      },
      sensitive: {
        type: "string",
        value: "TOOL",
        multiple: true,
        summary: "tools that always need it, in the place of those before; or none",
      },
      exempt: {
        type: "string",
        value: "TOOL",
        multiple: true,
        summary: "tools that never need it, in the place of those before; or none",
      },
    },
    unlocks: true,
    writes: true,
    load: () => import("../commands/approvals-policy.ts"),
  },
];

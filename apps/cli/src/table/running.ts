import type { Command } from "../cli/command.ts";

export const RUNNING_COMMANDS: readonly Command[] = [
  {
    path: "run",
    summary: "run a command with secrets, its output masked",
    examples: [
      "lango run --env OPENAI_API_KEY=openai/api-key -- node agent.js",
      "lango run --file ./key.json=gcp/key -- gcloud auth activate-service-account --key-file key.json",
    ],
    trailing: "CMD [ARG…]",
    // As env(1) and docker run do it, so that a failure of lango is not taken for one of the command.
    failureExit: 125,
    options: {
      env: {
        type: "string",
        value: "NAME=SECRET",
        multiple: true,
        summary: "put the secret into the variable NAME",
      },
      file: {
        type: "string",
        value: "PATH=SECRET",
        multiple: true,
        summary:
          "put the secret into a file at PATH, in memory where there is any, and remove it at the end",
      },
      "allow-argv": {
        type: "boolean",
        summary:
          "put values in place of {{secret:NAME}} among the words of the command, which every process can read",
      },
      "no-mask": {
        type: "boolean",
        summary: "hand the output on as it is, with the secrets in it",
      },
    },
    unlocks: true,
    load: () => import("../commands/run.ts"),
  },
  {
    path: "inject",
    summary: "write a template with the secrets in it, into a file of mode 0600",
    examples: [
      "lango inject -i app.env.tmpl -o app.env --allow db/password --allow openai/api-key",
    ],
    options: {
      in: { type: "string", short: "i", value: "FILE", summary: "the template (stdin)" },
      out: { type: "string", short: "o", value: "FILE", summary: "where to write it (stdout)" },
      allow: {
        type: "string",
        value: "NAME",
        multiple: true,
        summary: "a secret that the template may name; others need a yes on a terminal",
      },
    },
    unlocks: true,
    writes: true,
    load: () => import("../commands/inject.ts"),
  },
  {
    path: "scan",
    summary: "look for secrets in files; exit 10 when there are any",
    examples: [
      "lango scan .",
      "git diff | lango scan -",
      "lango scan --transcripts --format sarif",
    ],
    words: "PATH…",
    options: {
      transcripts: {
        type: "boolean",
        summary: "what Claude Code, Codex, Cursor, Gemini and opencode have kept of their sessions",
      },
      format: {
        type: "string",
        choices: ["text", "json", "sarif"],
        summary: "text, json or sarif (2.1.0)",
      },
    },
    unlocks: true,
    load: () => import("../commands/scan.ts"),
  },
  {
    path: "hook",
    summary:
      "print the hooks by which an agent masks its tools' output and leaves the vault's files alone",
    examples: ["lango hook claude-code", "lango hook codex", "lango hook cursor"],
    positionals: [{ name: "AGENT", choices: ["claude-code", "codex", "cursor"] }],
    options: {
      respond: { type: "boolean", summary: "answer one event of the agent, from stdin" },
    },
    unlocks: true,
    load: () => import("../commands/hook.ts"),
  },
];

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
];

import type { Option } from "../cli/command.ts";

/** Of commands whose work may take minutes. */
export const PROGRESS_OPTIONS: Readonly<Record<string, Option>> = {
  progress: {
    type: "string",
    value: "FORM",
    choices: ["auto", "json"],
    summary: "json: a line of JSON on stderr each second; auto, the default: a bar on a terminal",
  },
};

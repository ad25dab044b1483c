import type { Option } from "../cli/command.ts";

/** What becomes of the slots when the vault gets a new key. */
export const REKEY_OPTIONS: Readonly<Record<string, Option>> = {
  drop: {
    type: "string",
    value: "ID",
    multiple: true,
    summary: "let this slot go",
  },
  "drop-others": {
    type: "boolean",
    summary: "let every slot go whose credential is not at hand",
  },
  "new-master-key-fd": {
    type: "string",
    value: "N",
    summary: "read the new key of LANGO_MASTER_KEY from file descriptor N",
  },
  recovery: { type: "boolean", summary: "make new recovery words, on a terminal" },
};

import type { Option } from "../cli/command.ts";

/** Where a new passphrase may be read from. */
export const NEW_PASSPHRASE_OPTIONS: Readonly<Record<string, Option>> = {
  "new-passphrase-fd": {
    type: "string",
    value: "N",
    summary: "read the new passphrase from file descriptor N",
  },
  "new-passphrase-file": {
    type: "string",
    value: "FILE",
    summary: "read the new passphrase from FILE",
  },
};

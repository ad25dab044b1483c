import type { Option } from "../cli/command.ts";

/** How a passphrase is turned into a key. */
export const KDF_OPTIONS: Readonly<Record<string, Option>> = {
  kdf: {
    type: "string",
    value: "KDF",
    summary: "argon2id (the default) or pbkdf2-sha256[:ITERATIONS]",
  },
  profile: {
    type: "string",
    value: "NAME",
    choices: ["seed-000"],
    summary: "seed-000: PBKDF2 with 100,000 iterations, as old vaults have it",
  },
  "accept-weak-kdf": { type: "boolean", summary: "allow fewer iterations than are safe today" },
};

import { join } from "node:path";
import { encryptionKeySource } from "./encryption-key-source.ts";
import { isEncryptionKeySlot } from "./encryption-keys.ts";
import { takeFromKeyring } from "./keyring.ts";
import { parseAndZero } from "./parse-master-key.ts";
import { readSecretFile } from "./secret-file.ts";
import { found, type Source, skipped } from "./source.ts";
import type { Surroundings } from "./surroundings.ts";
import type { CredentialKey } from "./types.ts";
import { findVariables, readVariables, type SecretVariable } from "./variables.ts";

/** The places of a master key, in their order. None of them ever makes one. */
export const masterKeySources = (around: Surroundings): Source[] => [
  variable(around),
  encryptionKeySource(around),
  keyring(around),
  keyFile(around),
];

function variable(around: Surroundings): Source {
  const variables = masterKeyVariables(around);
  return {
    name: variables[0]?.name ?? "LANGO_MASTER_KEY",
    kinds: ["env"],
    opens: { what: "env", fits: (slot) => !isEncryptionKeySlot(slot) },
    ambient: variables[0]?.isPath ?? false,
    async take() {
      const key = await takeMasterKeyVariable(around);
      return key === undefined ? skipped("not set") : found(key.secret);
    },
  };
}

const masterKeyVariables = ({ env }: Surroundings): SecretVariable[] =>
  findVariables(env, ["LANGO_MASTER_KEY", "AUTHSOME_MASTER_KEY"]);

/** The master key of the environment, if it is set. */
export async function takeMasterKeyVariable(
  around: Surroundings,
): Promise<CredentialKey | undefined> {
  const variables = masterKeyVariables(around);
  const [first] = variables;
  const secret = await readVariables(variables, around.files, parseAndZero);
  if (first === undefined || secret === undefined) return undefined;
  return { source: first.name, secret, ambient: first.isPath };
}

function keyring(around: Surroundings): Source {
  return {
    name: "keyring (master key)",
    kinds: ["keyring"],
    ambient: true,
    async take() {
      const attempt = await takeFromKeyring(around.keyring, "master-key");
      return attempt.state === "found"
        ? found(parseAndZero(attempt.secret, "keyring (master key)"))
        : attempt;
    },
  };
}

function keyFile(around: Surroundings): Source {
  const path = join(around.home, "master.key");
  return {
    name: `master key file ${path}`,
    kinds: ["master-key-file"],
    ambient: true,
    async take() {
      const text = await readSecretFile(path, { ...around.files, source: "master key file" });
      return text === undefined
        ? skipped("does not exist")
        : found(parseAndZero(text, `master key file ${path}`));
    },
  };
}

import { type Bytes, bytesEqual, CryptoError, utf8, zero } from "@lango/crypto-core";
import { readSecretFile, type SecretFileOptions } from "./secret-file.ts";
import { withoutFinalNewline } from "./source.ts";

/** An environment; an empty variable counts as not set, since container files often leave one. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Variables that hold, or name, what opens a vault, but for `ENCRYPTION_KEY`. They never reach a child process. */
export const UNLOCK_VARIABLES: readonly string[] = [
  "LANGO_PASSPHRASE",
  "LANGO_PASSPHRASE_FILE",
  "LANGO_KEYFILE",
  "LANGO_MASTER_KEY",
  "LANGO_MASTER_KEY_FILE",
  "AUTHSOME_MASTER_KEY",
  "AUTHSOME_MASTER_KEY_FILE",
  "LANGO_PKCS11_PIN",
  "LANGO_PKCS11_PIN_FILE",
];

/** `ENCRYPTION_KEY` has a variable for each of its versions. */
const ENCRYPTION_KEY_VARIABLE = /^ENCRYPTION_KEY(_VERSION|_NEXT|_V\d+)?(_FILE)?$/;

/** Whether a variable is one of {@link UNLOCK_VARIABLES} or of the versions of `ENCRYPTION_KEY`, in any letter case (Windows ignores it). */
export function isUnlockVariable(name: string): boolean {
  const upper = name.toUpperCase();
  return UNLOCK_VARIABLES.includes(upper) || ENCRYPTION_KEY_VARIABLE.test(upper);
}

/** Returns a copy of an environment without what {@link isUnlockVariable} names. */
export function withoutUnlockVariables(env: Environment): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isUnlockVariable(name)));
}

/** One way in which a secret was given by the environment. */
export interface SecretVariable {
  readonly name: string;
  readonly value: string;
  /** Whether the value is the path of the file that holds the secret. */
  readonly isPath: boolean;
}

/** Finds which of some variables, or of their `_FILE` forms, are set; the first is the one to name. */
export function findVariables(env: Environment, names: readonly string[]): SecretVariable[] {
  return names
    .flatMap((name) => [
      { name, value: env[name] ?? "", isPath: false },
      { name: `${name}_FILE`, value: env[`${name}_FILE`] ?? "", isPath: true },
    ])
    .filter(({ value }) => value !== "");
}

/**
 * Reads the secret that all of some variables agree on.
 *
 * @param parse - Turns what a variable holds into the secret; it zeroes what it does not return.
 * @throws CryptoError `ERR_CONFIG` when two of them differ, naming both; when a file that one names does not exist;
 *   when a value is not UTF-8.
 */
export async function readVariables(
  variables: readonly SecretVariable[],
  file: Omit<SecretFileOptions, "source">,
  parse: (raw: Bytes, source: string) => Bytes,
): Promise<Bytes | undefined> {
  const read: { name: string; secret: Bytes }[] = [];
  let agreed: Bytes | undefined;
  try {
    for (const variable of variables) {
      const secret = parse(await readVariable(variable, file), variable.name);
      read.push({ name: variable.name, secret });
      const { name, secret: first } = read[0]!;
      if (bytesEqual(withoutFinalNewline(first), withoutFinalNewline(secret))) continue;
      throw new CryptoError("ERR_CONFIG", `${name} and ${variable.name} are both set and differ`, {
        context: { hint: "Unset one of them" },
      });
    }
    agreed = read[0]?.secret;
    return agreed;
  } finally {
    zero(...read.map(({ secret }) => secret).filter((secret) => secret !== agreed));
  }
}

async function readVariable(
  { name, value, isPath }: SecretVariable,
  file: Omit<SecretFileOptions, "source">,
): Promise<Bytes> {
  if (isPath) {
    const bytes = await readSecretFile(value, { ...file, source: name });
    if (bytes === undefined) {
      throw new CryptoError("ERR_CONFIG", `${name} names ${value}, which does not exist`);
    }
    return bytes;
  }
  // Node decodes the environment before anybody can see it; what was no UTF-8 has lost its bytes by now.
  if (value.includes("\uFFFD")) {
    throw new CryptoError("ERR_CONFIG", `${name} is not valid UTF-8`);
  }
  return utf8(value);
}

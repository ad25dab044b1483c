/** Variables that hold, or name, what opens a vault. They never reach a child process. */
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

/** Returns a copy of an environment without {@link UNLOCK_VARIABLES}, in any letter case (Windows ignores it). */
export function withoutUnlockVariables(
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !UNLOCK_VARIABLES.includes(name.toUpperCase())),
  );
}

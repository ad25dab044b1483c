import { zero } from "@lango/crypto-core";
import { encryptionKeyLabel, readEncryptionKeys } from "./encryption-keys.ts";
import { takeMasterKeyVariable } from "./master-key-sources.ts";
import { surroundingsOf } from "./surroundings.ts";
import type { CredentialKey, UnlockOptions } from "./types.ts";

/**
 * The keys of the environment that shall open a vault which is being made: the master key, `ENCRYPTION_KEY` and its next
 * version. Older versions have nothing to open yet.
 *
 * @returns With what each slot is labelled; the caller zeroes the secrets.
 * @throws CryptoError `ERR_CONFIG` as the sources do when they open.
 */
export async function keysForNewVault(
  options: Pick<UnlockOptions, "env" | "containerSecrets" | "platform">,
): Promise<readonly CredentialKey[]> {
  const master = await takeMasterKeyVariable(
    surroundingsOf({ ...options, home: "", stdinFree: false }),
  );
  const versions = await readEncryptionKeys(options).catch((error: unknown) => {
    zero(master?.secret);
    throw error;
  });
  const isOlder = (variable: string): boolean => /_V\d+(_FILE)?$/.test(variable);
  for (const { variable, key } of versions) if (isOlder(variable)) key.fill(0);
  return [
    ...(master === undefined ? [] : [{ ...master, slotLabel: "LANGO_MASTER_KEY" }]),
    ...versions
      .filter(({ variable }) => !isOlder(variable))
      .map(({ variable, version, key, ambient }) => ({
        ...{ source: variable, secret: key, ambient, slotLabel: encryptionKeyLabel(version) },
      })),
  ];
}

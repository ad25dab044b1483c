import { CryptoError } from "@lango/crypto-core";
import { type LockedVault, readVault, type SecretInfo } from "@lango/vault";
import type { Context } from "./context.ts";
import { requireVault } from "./home.ts";
import { vaultPlace } from "./place.ts";

/** Reads what the vault shows without a key. */
export async function withReader<T>(
  context: Context,
  use: (vault: LockedVault) => Promise<T>,
): Promise<T> {
  await requireVault(context);
  await using vault = await readVault(await vaultPlace(context));
  return await use(vault);
}

/** @throws CryptoError `ERR_NOT_FOUND` for a name that is not there. */
export async function findSecret(
  vault: Pick<LockedVault, "secrets">,
  name: string,
): Promise<SecretInfo> {
  const found = (await vault.secrets.list()).find((secret) => secret.name === name);
  if (found === undefined) {
    throw new CryptoError("ERR_NOT_FOUND", `There is no secret ${name}`, {
      context: { hint: 'Run "lango security secrets list"' },
    });
  }
  return found;
}

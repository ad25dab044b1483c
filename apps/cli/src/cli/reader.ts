import { CryptoError } from "@lango/crypto-core";
import { type LockedVault, readVault, type SecretInfo } from "@lango/vault";
import type { Arguments } from "./arguments.ts";
import type { Context } from "./context.ts";
import { requireVault } from "./home.ts";
import { vaultPlace } from "./place.ts";
import { withVault } from "./vault.ts";

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

/** What both an open vault and a locked one show. */
export interface Rows {
  readonly secrets: Pick<LockedVault["secrets"], "list">;
  readonly keys: Pick<LockedVault["keys"], "list">;
  readonly companions: Pick<LockedVault["companions"], "list">;
  readonly slots: Pick<LockedVault["slots"], "list">;
  readonly audit: Pick<LockedVault["audit"], "tail" | "findLast">;
}

/** Reads rows: without a key where the database shows them, else by opening the vault. For commands that unlock. */
export async function withRows<T>(
  context: Context,
  args: Arguments,
  use: (rows: Rows) => Promise<T>,
): Promise<T> {
  const shown = await withReader(context, async (vault) =>
    vault.hidesRows ? undefined : { result: await use(vault) },
  );
  return shown === undefined ? withVault(context, args, {}, use) : shown.result;
}

/** Names need no passphrase where the database shows them: one that is not there is told before that is asked for. */
export const checkName = (context: Context, name: string): Promise<void> =>
  withReader(context, async (vault) => {
    if (!vault.hidesRows) await findSecret(vault, name);
  });

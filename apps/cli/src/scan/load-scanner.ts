import { zero } from "@lango/crypto-core";
import { createScanner, type Scanner, type SecretValue } from "@lango/guard";
import type { Vault } from "@lango/vault";
import type { Context } from "../cli/context.ts";

/**
 * Loads every secret of the vault into a scanner. One that does not open, or cannot be masked, is warned about when it is
 * known.
 *
 * @param signal - Ends the loading.
 */
export async function loadScanner(
  context: Pick<Context, "warn">,
  vault: Vault,
  signal?: AbortSignal,
): Promise<Scanner> {
  // Committed before the first value is read.
  const { values } = await vault.secrets.loadAll();
  const failed: string[] = [];
  async function* secrets(): AsyncGenerator<SecretValue> {
    for await (const secret of values) {
      signal?.throwIfAborted();
      if (secret.value === undefined) failed.push(secret.name);
      else {
        yield secret;
        zero(secret.value);
      }
    }
  }
  const scanner = await createScanner({
    secrets: secrets(),
    ...(signal === undefined ? {} : { signal }),
  });
  for (const name of failed) context.warn(`${name} does not open, so it is not looked for`);
  return scanner;
}

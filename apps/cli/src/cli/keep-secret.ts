import { type Bytes, zero } from "@lango/crypto-core";
import type { UnlockResult } from "@lango/unlock";

/**
 * Copies the secret of a credential, which the vault zeroes once it has tried it. Of what a person typed, the last is kept: it
 * is what opened the vault, if anything did.
 *
 * @param keep - Is given each copy, to zero when done; the one before is zeroed here.
 */
export function keepSecret(result: UnlockResult, keep: (secret: Bytes) => void): UnlockResult {
  const { again, secret } = result.credential;
  let copy = secret.slice();
  keep(copy);
  if (again === undefined) return result;
  const keepNext = async (): Promise<Bytes | undefined> => {
    const next = await again();
    if (next === undefined) return undefined;
    zero(copy);
    copy = next.slice();
    keep(copy);
    return next;
  };
  return { ...result, credential: { ...result.credential, again: keepNext } };
}

import { CryptoError } from "@lango/crypto-core";
import type { CompanionInfo, LockedVault } from "@lango/vault";

/**
 * A paired device by its id, its name, or the beginning of its fingerprint.
 *
 * @throws CryptoError `ERR_NOT_FOUND`; `ERR_CONFLICT` when several have the name.
 */
export async function findDevice(
  { companions }: Pick<LockedVault, "companions">,
  text: string,
): Promise<CompanionInfo> {
  const all = await companions.list();
  const byId = all.find(({ id }) => id === text);
  if (byId !== undefined) return byId;
  const found = all.filter(
    ({ name, fingerprint }) =>
      name === text || (text.length >= MIN_PREFIX && fingerprint.startsWith(text)),
  );
  const [one, ...others] = found;
  if (one === undefined) {
    throw new CryptoError("ERR_NOT_FOUND", `No paired device is called ${text}`, {
      context: { hint: 'Run "lango companion list"' },
    });
  }
  if (others.length === 0) return one;
  const ids = found.map(({ id }) => id).join(", ");
  throw new CryptoError("ERR_CONFLICT", `${found.length} devices are called ${text}`, {
    context: { hint: `Name one by its id: ${ids}` },
  });
}

const MIN_PREFIX = 6;

/** Enough of a fingerprint to tell devices apart at a glance. */
export const shortFingerprint = (fingerprint: string): string => fingerprint.slice(0, 12);

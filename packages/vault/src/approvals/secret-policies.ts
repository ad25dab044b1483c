import type { PolicyRow, StoreReads } from "@lango/store";
import type { SecretUsePolicy } from "../approval-types.ts";
import { SECRETS } from "../names.ts";

/** What holds for a secret about which nothing was said: each use needs an approval. */
export const NO_POLICY: SecretUsePolicy = {
  destinations: [],
  commands: [],
  requiresHandle: false,
};

/** How the policy of a secret is called in table `policies`. */
export const policySubject = (name: string): string => `${SECRETS}/${name}`;

/**
 * The policies of all secrets that have one, by name.
 *
 * @param check - Throws for a row that was changed.
 */
export const secretPolicies = async (
  { policies }: Pick<StoreReads, "policies">,
  check: (row: PolicyRow) => void,
): Promise<ReadonlyMap<string, SecretUsePolicy>> => {
  const prefix = policySubject("");
  const found = new Map<string, SecretUsePolicy>();
  for (const row of await policies.list()) {
    if (!row.subject.startsWith(prefix)) continue;
    check(row);
    found.set(row.subject.slice(prefix.length), JSON.parse(row.content));
  }
  return found;
};

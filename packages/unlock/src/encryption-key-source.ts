import {
  type EncryptionKey,
  encryptionKeyLabel,
  encryptionKeyVariables,
  isEncryptionKeySlot,
  readEncryptionKeys,
} from "./encryption-keys.ts";
import { type Source, skipped, TOO_OPEN } from "./source.ts";
import type { Surroundings } from "./surroundings.ts";
import type { CredentialKey } from "./types.ts";

/**
 * `ENCRYPTION_KEY` and its other versions: one source. Which of them a slot was made from only the vault can tell, so they
 * are handed over together, the newest first; the vault then learns of a newer key by the older one that still opens it.
 */
export function encryptionKeySource(around: Surroundings): Source {
  const variables = encryptionKeyVariables(around.env);
  return {
    name: variables.join(" or ") || "ENCRYPTION_KEY",
    kinds: ["env"],
    opens: { what: "ENCRYPTION_KEY", fits: isEncryptionKeySlot },
    // Each of its keys is judged for itself.
    ambient: false,
    async take() {
      if (variables.length === 0) return skipped("not set");
      const keys = await readEncryptionKeys(around);
      const usable = keys.filter(({ ambient }) => !(ambient && around.skipAmbient === true));
      for (const each of keys) if (!usable.includes(each)) each.key.fill(0);
      const [first, ...others] = usable.map(asCredentialKey);
      return first === undefined
        ? skipped(TOO_OPEN)
        : { state: "found", secret: first.secret, from: first, others };
    },
  };
}

const asCredentialKey = ({ variable, version, key, ambient }: EncryptionKey): CredentialKey => ({
  source: variable,
  secret: key,
  ambient,
  slotLabel: encryptionKeyLabel(version),
});

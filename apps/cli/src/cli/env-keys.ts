import { CryptoError, zero } from "@lango/crypto-core";
import { type EncryptionKey, readEncryptionKeys } from "@lango/unlock";
import type { Vault } from "@lango/vault";
import { checkKeyVariables } from "./configured.ts";
import type { Context } from "./context.ts";
import { counted } from "./output.ts";

/** What `lango security rotate --env-keys` does before and after the rotation itself. */
export interface EnvKeyRotation extends Disposable {
  /** Sees that the newest key opens the vault. */
  adopt(vault: Vault): Promise<void>;
  /** Removes the slots of the older keys, once every value was sealed again and opened. */
  finish(vault: Vault): Promise<EnvKeysFinished>;
}

export interface EnvKeysFinished {
  /** Ids of the slots that are gone. */
  readonly removedSlots: readonly string[];
  /** Variables that nothing needs any more. */
  readonly mayGo: readonly string[];
  /** What is left to do, a sentence each. */
  readonly next: readonly string[];
}

/** What people read of it. */
export const endedText = ({ removedSlots, next }: EnvKeysFinished): string[] => [
  `removed ${counted(removedSlots.length, "slot")} of older keys; the newest one opens the vault`,
  ...next,
];

/**
 * Reads the versions of `ENCRYPTION_KEY`, of which the newest stays.
 *
 * @throws CryptoError `ERR_CONFIG` when none is set, or for what is wrong with them.
 */
export async function readEnvKeys(context: Context): Promise<EnvKeyRotation> {
  const { env } = context;
  await checkKeyVariables(context);
  const keys = await readEncryptionKeys({ env });
  const [newest, ...older] = keys;
  if (newest === undefined) {
    throw new CryptoError("ERR_CONFIG", "--env-keys: ENCRYPTION_KEY is not set", {
      context: { hint: "Set it to the new key, and ENCRYPTION_KEY_V0 to the one before" },
    });
  }
  return {
    adopt: async ({ slots }) => void (await slots.adoptEncryptionKey(newest)),
    async finish({ slots }) {
      const removed = await slots.removeOlderEncryptionKeys(newest.key);
      return { removedSlots: removed.map(({ id }) => id), ...whatMayGo(newest, older, env) };
    },
    [Symbol.dispose]: () => zero(...keys.map(({ key }) => key)),
  };
}

/** The newest key alone opens the vault now. */
function whatMayGo(
  newest: EncryptionKey,
  older: readonly EncryptionKey[],
  env: Context["env"],
): Pick<EnvKeysFinished, "mayGo" | "next"> {
  const isNext = newest.variable.startsWith("ENCRYPTION_KEY_NEXT");
  const mayGo = older.map(({ variable }) => variable);
  if (!isNext) {
    const list = mayGo.join(", ");
    return {
      mayGo,
      next:
        mayGo.length === 0 ? [] : [`${list} may go: unset ${mayGo.length === 1 ? "it" : "them"}`],
    };
  }
  const isNumbered = Boolean(env["ENCRYPTION_KEY_VERSION"] || env["ENCRYPTION_KEY_VERSION_FILE"]);
  const others = mayGo.filter((name) => !/^ENCRYPTION_KEY(_FILE)?$/.test(name));
  return {
    mayGo,
    next: [
      `Set ENCRYPTION_KEY to what ${newest.variable} holds, and unset ${newest.variable}: the old value of ENCRYPTION_KEY may go`,
      ...(isNumbered ? [`Set ENCRYPTION_KEY_VERSION to ${newest.version}`] : []),
      ...(others.length === 0 ? [] : [`${others.join(", ")} may go, too`]),
    ],
  };
}

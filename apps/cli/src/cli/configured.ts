import { zero } from "@lango/crypto-core";
import {
  findVariableFaults,
  hasConfiguredSecrets,
  isEncryptionKeySlot,
  isEncryptionKeyVariable,
  isMasterKeyVariable,
  readConfiguredSecrets,
  type SlotInfo,
} from "@lango/unlock";
import type { Vault } from "@lango/vault";
import type { Arguments } from "./arguments.ts";
import { variableFaults } from "./check-variables.ts";
import type { Context } from "./context.ts";

/** Options that take the credential from elsewhere. */
const FLAGS = [
  "passphrase-fd",
  "passphrase-file",
  "master-key-fd",
  "recovery-words-fd",
  "unlock-with",
] as const;

/**
 * Refuses everything that is wrong with the keys of the environment which may open these slots, before one of them is tried.
 *
 * @throws CryptoError `ERR_CONFIG` that names all of it.
 */
export async function checkUnlockVariables(
  { env }: Context,
  args: Arguments,
  slots: readonly Pick<SlotInfo, "kind" | "label">[],
): Promise<void> {
  if (args.flag("passphrase-stdin") || FLAGS.some((flag) => args.string(flag) !== undefined))
    return;
  const usesEncryptionKey = slots.some(isEncryptionKeySlot);
  const usesMasterKey = slots.some((slot) => slot.kind === "env" && !isEncryptionKeySlot(slot));
  await refuseFaults(
    env,
    (variable) =>
      (usesEncryptionKey && isEncryptionKeyVariable(variable)) ||
      (usesMasterKey && isMasterKeyVariable(variable)),
  );
}

/** The same for a vault that is being made, which every key of the environment is to open. */
export const checkKeyVariables = ({ env }: Context): Promise<void> =>
  refuseFaults(env, (name) => isEncryptionKeyVariable(name) || isMasterKeyVariable(name));

async function refuseFaults(
  env: Context["env"],
  uses: (variable: string) => boolean,
): Promise<void> {
  if (!Object.keys(env).some(uses)) return;
  const faults = await findVariableFaults({ env }, uses);
  if (faults.length > 0) throw variableFaults(faults);
}

/**
 * Notes in an open vault which keys and tokens of the environment, and `gateway.auth.token` of the settings, are not what they
 * were. Costs nothing where none is set.
 */
export async function noteConfigured(
  { fingerprints }: Vault,
  { env }: Context,
  gatewayToken: string,
): Promise<void> {
  if (gatewayToken === "" && !hasConfiguredSecrets(env)) return;
  const { secrets } = await readConfiguredSecrets({ env, gatewayToken });
  try {
    await fingerprints.note(secrets);
  } finally {
    zero(...secrets.map(({ secret }) => secret));
  }
}

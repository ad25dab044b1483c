import { isCryptoError } from "@lango/crypto-core";
import { createUnlocker } from "@lango/unlock";
import { readVault } from "@lango/vault";
import type { Handler } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { facts, when } from "../cli/output.ts";
import { canAsk } from "../cli/terminal.ts";
import { type Config, DEFAULTS } from "../config/defaults.ts";
import { loadConfig, readConfigFile } from "../config/load.ts";

/**
 * Shows what protects the vault. This is the command that scripts poll, so its file of the program holds nothing else:
 * without a vault it offers nothing, because onboarding would have to be in there.
 */
export const run: Handler = async (context) => {
  await using vault = await readVault({ home: context.home });
  const { signer, keyring, anchor } = await uncheckedSecurity(context.home);
  await warnOfFaults(context);
  const status = await vault.status();
  const sources = await createUnlocker({
    home: context.home,
    env: context.env,
    keyringEnabled: keyring.enabled,
    // Nobody is asked; whether there is somebody to ask decides what would be used.
    prompt: canAsk(context) ? async () => undefined : undefined,
    stdinFree: true,
  }).describe(await vault.slots.list());
  const unlockSource = sources.find(({ state }) => state === "would use")?.source ?? null;
  return {
    data: {
      home: context.home,
      mode: signer.provider,
      unlockSource,
      sources,
      // Neither is asked for here: that would be a connection.
      provider: { name: signer.provider, local: signer.provider === "local" },
      companion: null,
      audit: { anchor: anchor === "" ? null : anchor },
      ...status,
    },
    text: facts([
      ["home", context.home],
      ["vault", `${status.id}, made ${when(status.createdAt)}`],
      ["mode", signer.provider],
      ["unlock source", unlockSource ?? "none"],
      ["slots", status.slots.map(({ kind, kdf }) => (kdf ? `${kind} (${kdf})` : kind)).join(", ")],
      ["keys", `${status.keyCount}`],
      ["secrets", `${status.secretCount}`],
      ["companion", "none"],
      ["log anchored by", anchor === "" ? "nothing" : anchor],
      ["degraded", status.degraded ? "yes: some data keys wait to be wrapped again" : "no"],
    ]),
  };
};

/** The status is shown all the same: it is asked for when something is wrong. */
async function warnOfFaults({ home, warn }: Context): Promise<void> {
  try {
    await loadConfig(home);
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    warn(`${error.message}; most commands will refuse to work`);
  }
}

/** The settings that are shown, whether or not others in the file are sound. */
async function uncheckedSecurity(
  home: string,
): Promise<Pick<Config["security"], "signer" | "keyring"> & { readonly anchor: string }> {
  const file = (await readConfigFile(home)) as
    | { security?: Partial<Config["security"]>; audit?: Partial<Config["audit"]> }
    | undefined;
  const { signer, keyring } = DEFAULTS.security;
  return {
    signer: { ...signer, ...file?.security?.signer },
    keyring: { ...keyring, ...file?.security?.keyring },
    anchor: file?.audit?.anchor ?? DEFAULTS.audit.anchor,
  };
}

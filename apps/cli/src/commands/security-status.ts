import { createUnlocker } from "@lango/unlock";
import { readVault } from "@lango/vault";
import type { Handler } from "../cli/command.ts";
import { facts, when } from "../cli/output.ts";
import { canAsk } from "../cli/terminal.ts";
import { type Config, DEFAULTS } from "../config/defaults.ts";
import { readConfigFile } from "../config/load.ts";

/**
 * Shows what protects the vault. This is the command that scripts poll, so its file of the program holds nothing else:
 * without a vault it offers nothing, because onboarding would have to be in there.
 */
export const run: Handler = async (context) => {
  await using vault = await readVault({ home: context.home });
  const { signer, keyring, anchor } = await uncheckedSecurity(context.home);
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

/** The settings that are shown, without the schema that checks them: "lango doctor" and every command that uses one does. */
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

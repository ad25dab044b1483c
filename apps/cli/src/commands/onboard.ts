import { CryptoError, zero } from "@lango/crypto-core";
import type { Kdf } from "@lango/envelope";
import { createUnlocker, type UnlockOptions } from "@lango/unlock";
import { createVault, inspectHome } from "@lango/vault";
import type { Handler } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { hardenProcess } from "../cli/process.ts";
import { chooseKdf, configuredKdf } from "../cli/kdf.ts";
import { askSecret, canAsk } from "../cli/terminal.ts";
import { warnOfWeakness } from "../cli/warn-of-weakness.ts";

/** Creates the vault. */
export const run: Handler = async (context, args) => {
  const kdf = chooseKdf(args);
  if (args.flag("dry-run")) {
    await refuseExisting(context.home);
    return {
      data: { home: context.home, dryRun: true },
      text: `would create a vault in ${context.home}`,
    };
  }
  const { id, text } = await onboard(context, {
    kdf,
    sources: {
      passphraseFd: args.number("passphrase-fd", 0),
      passphraseFile: args.string("passphrase-file"),
      passphraseStdin: args.flag("passphrase-stdin"),
    },
  });
  return { data: { home: context.home, vaultId: id }, text };
};

export interface OnboardOptions {
  /** Default: what `security.kdf` says. */
  readonly kdf?: Kdf | undefined;
  readonly sources?: Pick<UnlockOptions, "passphraseFd" | "passphraseFile" | "passphraseStdin">;
}

/**
 * Asks for a passphrase and creates the vault.
 *
 * @throws CryptoError `ERR_CONFLICT` for any vault that is there, sound or damaged; `ERR_LOCKED` without a passphrase.
 */
export async function onboard(
  context: Context,
  { kdf, sources }: OnboardOptions,
): Promise<{ readonly id: string; readonly text: string }> {
  await refuseExisting(context.home);
  hardenProcess();
  const unlocker = createUnlocker({
    ...sources,
    home: context.home,
    env: context.env,
    prompt: canAsk(context) ? askSecret : undefined,
    stdinFree: true,
  });
  const given = await unlocker.obtainNewPassphrase();
  try {
    await warnOfWeakness(context, given.passphrase);
    await using vault = await createVault({
      home: context.home,
      credentials: [{ kind: "passphrase", passphrase: given.passphrase }],
      kdf: kdf ?? (await configuredKdf(context.home)),
    });
    context.warn(
      "whoever loses this passphrase loses the data: nothing else opens this vault. Keep a copy of it in a safe place",
    );
    context.note('Next: "lango security secrets set NAME" stores a secret,');
    context.note('      "lango run --env VAR=NAME -- CMD" hands it to a program.');
    return { id: vault.id, text: `Created a vault in ${context.home}` };
  } finally {
    zero(given.passphrase);
  }
}

async function refuseExisting(home: string): Promise<void> {
  const state = await inspectHome(home);
  if (state === "ready" || typeof state === "object") {
    throw new CryptoError(
      "ERR_CONFLICT",
      `${home} holds a vault already${state === "ready" ? "" : `, and it is damaged: ${state.damaged.message}`}`,
      {
        context: {
          hint:
            state === "ready"
              ? "Nothing was changed; name another folder with --home"
              : 'Nothing was changed; run "lango doctor"',
        },
      },
    );
  }
}

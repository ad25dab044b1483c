import { zero } from "@lango/crypto-core";
import type { Credential } from "@lango/unlock";
import type { RotationResult, Vault } from "@lango/vault";
import type { Arguments } from "./arguments.ts";
import type { Result } from "./command.ts";
import type { Context } from "./context.ts";
import { interruptible } from "./interrupt.ts";
import { counted } from "./output.ts";
import { createProgress } from "./progress.ts";
import { changeVaultKey } from "./rekey.ts";
import { renewKeys } from "./renew-keys.ts";
import { NOT_REVOKED, rotatedText, runRotation, unfinished } from "./rotation.ts";
import { withVault } from "./vault.ts";

/**
 * For whoever may have had the vault key: a new one, new data keys with every value sealed again, and new keys of the rows, in this
 * order: a new data key under the old vault key would protect nothing.
 */
export async function rotateCompromised(context: Context, args: Arguments): Promise<Result> {
  const how = { acceptFaults: args.flag("accept-faults") };
  let opener: Credential | undefined;
  const keepCredential = (credential: Credential): void => {
    opener = credential;
  };
  try {
    const needs = { freshConsent: true, keepCredential };
    return await withVault(context, args, needs, async (vault, providers) => {
      if ((await vault.rotation.status()) || (await vault.status()).renewing) throw unfinished();
      return changeVaultKey(
        { context, args, vault, providers, opener: opener! },
        "Make a new vault key and new data keys, and seal every value again?",
        { compromised: true, ...how },
        async (next, report) => {
          const rotated = await runRotation(context, args, next, "start", how);
          const rows = await renew(context, args, next);
          return {
            ...doneText(context, rotated, rows),
            data: { ...report, ...rotated, rows, notRevoked: STILL_KNOWN },
          };
        },
      );
    });
  } finally {
    zero(opener?.secret);
  }
}

/**
 * Goes on after an interruption. Between the new vault key and the new data keys there is nothing that says how far it was, so
 * that the random keys of this machine are made anew once more, and the rotation begins.
 */
export async function resumeCompromised(
  context: Context,
  args: Arguments,
  vault: Vault,
): Promise<Result> {
  const how = { acceptFaults: args.flag("accept-faults") };
  const begun = await vault.rotation.status();
  const renewed = begun ? [] : await renewKeys(context, vault, await vault.slots.list());
  const rotated = await runRotation(context, args, vault, begun ? "resume" : "start", how);
  const rows = await renew(context, args, vault);
  return {
    ...doneText(context, rotated, rows),
    data: { renewed, ...rotated, rows, notRevoked: STILL_KNOWN },
  };
}

async function renew(context: Context, args: Arguments, vault: Vault): Promise<number> {
  const acceptFaults = args.flag("accept-faults");
  const progress = createProgress(context, args, "writing rows anew");
  try {
    const { rows } = await interruptible((signal) =>
      vault.renewRows({
        ...{ signal, acceptFaults },
        onProgress: ({ done, total }) => progress.update(done, total),
      }),
    );
    return rows;
  } finally {
    progress.end();
  }
}

/** What even this does not take back. */
const STILL_KNOWN: readonly string[] = [
  ...NOT_REVOKED,
  "A passphrase, recovery words and the key of a provider that open a slot are the same: change those that somebody may have (lango security migrate-passphrase; lango security slots add, slots remove)",
  "Local keys (lango keys list) are the same, only sealed anew: whoever has had the old vault key may have them; make a new version of each: lango keys rotate KEY",
];

const doneText = (context: Context, rotated: RotationResult, rows: number): Result => {
  for (const sentence of STILL_KNOWN) context.note(sentence);
  context.note(
    "Grants and handles are gone. Values that were known to somebody have to be changed where they are used",
  );
  return { text: `${rotatedText(rotated)}; ${counted(rows, "row")} under a new key` };
};

import { CryptoError } from "@lango/crypto-core";
import type { Vault } from "@lango/vault";
import { usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import { resumeCompromised, rotateCompromised } from "../cli/compromised.ts";
import { endedText, readEnvKeys } from "../cli/env-keys.ts";
import { counted } from "../cli/output.ts";
import { NOT_REVOKED, rotatedText, runRotation, unfinished } from "../cli/rotation.ts";
import { requireYes } from "../cli/terminal.ts";
import { withVault } from "../cli/vault.ts";

/** Gives the vault new data keys, and seals every value again under them; with `--env-keys` older keys of the environment end. */
export const run: Handler = async (context, args) => {
  const resume = args.flag("resume");
  if (args.flag("compromised")) {
    if (resume) throw usageError("--resume goes on with what was begun: leave --compromised out");
    if (args.flag("env-keys")) {
      throw usageError(
        "--env-keys and --compromised are two steps",
        "First --env-keys, then --compromised",
      );
    }
    return rotateCompromised(context, args);
  }
  if (args.flag("accept-faults") && !resume) {
    throw usageError("--accept-faults belongs to --compromised, or to its --resume");
  }
  // What is wrong with them is said before the vault is opened.
  using envKeys = args.flag("env-keys") ? await readEnvKeys(context) : undefined;
  // A new slot is a new door: only what vouches for the newest key may open it, which an older one does.
  const needs = envKeys ? ({ freshConsent: "or ENCRYPTION_KEY" } as const) : {};
  return await withVault(context, args, needs, async (vault) => {
    const { renewing } = await vault.status();
    if (renewing && !resume) throw unfinished();
    if (renewing && !args.flag("dry-run")) return resumeCompromised(context, args, vault);
    const values = await valuesLeft(vault, resume);
    if (args.flag("dry-run")) {
      return {
        data: { dryRun: true, resume, values },
        text: `would seal ${counted(values, "value")} again${envKeys ? ", and then let only the newest ENCRYPTION_KEY open the vault" : ""}`,
      };
    }
    // What was begun has been agreed to.
    if (!resume) await requireYes(context, `Seal ${counted(values, "value")} again?`);
    await envKeys?.adopt(vault);
    const goOn = `lango security rotate${envKeys ? " --env-keys" : ""} --resume`;
    const result = await runRotation(context, args, vault, resume ? "resume" : "start", { goOn });
    const ended = await envKeys?.finish(vault);
    for (const sentence of NOT_REVOKED) context.note(sentence);
    return {
      data: {
        ...result,
        notRevoked: NOT_REVOKED,
        ...(ended === undefined ? {} : { envKeys: ended }),
      },
      text: [rotatedText(result), ...(ended === undefined ? [] : endedText(ended))].join("\n"),
    };
  });
};

/** How many values are left to seal again. Whether that can be done at all is said before anybody is asked. */
async function valuesLeft({ rotation, dataKeys }: Vault, resume: boolean): Promise<number> {
  const begun = await rotation.status();
  if (resume !== (begun !== undefined)) throw resume ? noRotation() : unfinished();
  const isLeft = new Set(begun?.dataKeys);
  return (await dataKeys.list())
    .filter(({ id }) => begun === undefined || isLeft.has(id))
    .reduce((sum, { values }) => sum + values, 0);
}

const noRotation = (): CryptoError =>
  new CryptoError("ERR_NOT_FOUND", "No rotation is under way", {
    context: { hint: "Begin one: lango security rotate" },
  });

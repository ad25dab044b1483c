import { CryptoError } from "@lango/crypto-core";
import type { Vault } from "@lango/vault";
import type { Handler } from "../cli/command.ts";
import { counted, NOT_REVOKED, rotatedText, runRotation, unfinished } from "../cli/rotation.ts";
import { requireYes } from "../cli/terminal.ts";
import { withVault } from "../cli/vault.ts";

/** Gives the vault new data keys, and seals every value again under them. */
export const run: Handler = (context, args) =>
  withVault(context, args, {}, async (vault) => {
    const resume = args.flag("resume");
    const values = await valuesLeft(vault, resume);
    if (args.flag("dry-run")) {
      return {
        data: { dryRun: true, resume, values },
        text: `would seal ${counted(values, "value")} again`,
      };
    }
    // What was begun has been agreed to.
    if (!resume) await requireYes(context, `Seal ${counted(values, "value")} again?`);
    const result = await runRotation(context, args, vault, resume ? "resume" : "start");
    for (const sentence of NOT_REVOKED) context.note(sentence);
    return { data: { ...result, notRevoked: NOT_REVOKED }, text: rotatedText(result) };
  });

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

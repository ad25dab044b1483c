import { CryptoError } from "@lango/crypto-core";
import type { RotateOptions, RotationResult, Vault } from "@lango/vault";
import type { Arguments } from "./arguments.ts";
import type { Context } from "./context.ts";
import { isInterrupted } from "./failure.ts";
import { interruptible } from "./interrupt.ts";
import { counted } from "./output.ts";
import { createProgress, type Progress } from "./progress.ts";

const LABELS = { reseal: "sealing again", verify: "checking" } as const;

/** What a rotation does not take back, a sentence each. */
export const NOT_REVOKED: readonly string[] = [
  "Whoever read a value before still knows it: change it where it is used, if that matters",
  "Copies of lango.db from before hold the old data keys and values, and open with the credentials of that time",
];

/**
 * Runs a rotation with a progress bar, until it has ended or a signal comes. Then it says how to go on.
 *
 * @param args - Of a command with the options of `PROGRESS_OPTIONS`.
 * @param how - `goOn`: the command that ends it when it was interrupted. `acceptFaults`: as in `vault.rotation`.
 */
export async function runRotation(
  context: Context,
  args: Arguments,
  { rotation }: Vault,
  work: "start" | "resume",
  {
    goOn = "lango security rotate --resume",
    acceptFaults = false,
  }: { readonly goOn?: string; readonly acceptFaults?: boolean } = {},
): Promise<RotationResult> {
  let shown: { readonly stage: string; readonly progress: Progress } | undefined;
  const onProgress: RotateOptions["onProgress"] = ({ stage, done, total }) => {
    if (shown?.stage !== stage) {
      shown?.progress.end();
      shown = { stage, progress: createProgress(context, args, LABELS[stage]) };
    }
    shown.progress.update(done, total);
  };
  try {
    return await interruptible((signal) => rotation[work]({ onProgress, signal, acceptFaults }));
  } catch (error) {
    if (isInterrupted(error)) {
      shown?.progress.end();
      context.warn(`Interrupted: every value is readable; go on with: ${goOn}`);
    }
    throw error;
  } finally {
    shown?.progress.end();
  }
}

export const unfinished = (): CryptoError =>
  new CryptoError("ERR_CONFLICT", "A rotation was begun and has not ended", {
    context: { hint: "Go on with it: lango security rotate --resume" },
  });

export const rotatedText = ({ resealed, verified, retired }: RotationResult): string =>
  `sealed ${counted(resealed, "value")} again and checked ${verified}; ${counted(retired.length, "old data key")} destroyed`;

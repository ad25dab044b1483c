import { type Bytes, zero } from "@lango/crypto-core";
import {
  createUnlocker,
  parseRecoveryWords,
  type SlotInfo,
  type UnlockResult,
} from "@lango/unlock";
import { openVault, type SlotSummary, type Vault } from "@lango/vault";
import { type Arguments, usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { readInput } from "../cli/files.ts";
import { requireVault } from "../cli/home.ts";
import { chooseKdf, configuredKdf } from "../cli/kdf.ts";
import { obtainNewPassphrase } from "../cli/new-passphrase.ts";
import { vaultPlace } from "../cli/place.ts";
import { hardenProcess } from "../cli/process.ts";
import { askWords, askYes, canAsk } from "../cli/terminal.ts";

/** 24 words with numbers and line ends are less than this. */
const MAX_WORDS_BYTES = 4096;

/** Opens the vault with the recovery words and gives it a new passphrase. */
export const run: Handler = async (context, args) => {
  const { kdf, acceptWeakKdf } = chooseKdf(args);
  await requireVault(context);
  hardenProcess();
  const entropy = await readWords(context, args);
  let passphrase: Bytes | undefined;
  try {
    await using vault = await openVault({
      ...(await vaultPlace(context)),
      unlock: async (slots) => obtain(context, slots, entropy),
    });
    const old = (await vault.slots.list()).filter(({ kind }) => kind === "passphrase");
    if (args.flag("dry-run")) {
      return { data: { dryRun: true }, text: "the words open the vault; would add a passphrase" };
    }
    passphrase = await obtainNewPassphrase(context, args);
    const slot = await vault.slots.add({
      ...{ kind: "passphrase", passphrase, acceptWeakKdf },
      kdf: kdf ?? (await configuredKdf(context.home)),
    });
    const removed = await removeOld(context, vault, old);
    return {
      data: { slot, removed },
      text: `The new passphrase opens the vault${removed.length === 0 ? "" : ", and the old one no more"}`,
    };
  } finally {
    zero(entropy, passphrase);
  }
};

/** The words of `--words-file`; `undefined` for those that a person is asked for. */
async function readWords(context: Context, args: Arguments): Promise<Bytes | undefined> {
  const file = args.string("words-file");
  if (file === undefined) {
    if (canAsk(context)) return undefined;
    throw usageError(
      "The recovery words are missing, and nobody can be asked",
      "Give them with --words-file FILE",
    );
  }
  const text = await readInput(file, MAX_WORDS_BYTES);
  try {
    return await parseRecoveryWords(text);
  } finally {
    zero(text);
  }
}

async function obtain(
  { home }: Context,
  slots: readonly SlotInfo[],
  entropy: Uint8Array | undefined,
): Promise<UnlockResult> {
  const slotIds = slots.filter(({ kind }) => kind === "recovery").map(({ id }) => id);
  if (slotIds.length === 0) {
    throw usageError("This vault has no recovery words", whatElseOpens(slots).join("\n"));
  }
  if (entropy === undefined) {
    const asking = { home, env: {}, unlockWith: "recovery", stdinFree: false } as const;
    return createUnlocker({ ...asking, promptWords: askWords }).obtain(slots);
  }
  const secret = new Uint8Array(entropy);
  return {
    credential: { kind: "recovery", source: "recovery words", secret, ambient: false, slotIds },
    skipped: [],
  };
}

/** For somebody who is locked out: words cannot be made without what opens the vault, so those are no advice. */
function whatElseOpens(slots: readonly SlotInfo[]): string[] {
  const kinds = [...new Set(slots.map(({ kind }) => kind))];
  const others = kinds.filter((kind) => kind !== "passphrase");
  return [
    `It opens with: ${kinds.join(", ")}; "lango whoami" shows where lango looks`,
    ...(others.some((kind) => kind !== "provider")
      ? ["With the key at hand: lango security slots add --kind passphrase --master-key-fd 3 3<KEY"]
      : []),
    ...(others.includes("provider")
      ? ["By the provider: lango security slots add --kind passphrase --unlock-with provider"]
      : []),
    "A backup opens with what opened the vault when it was made: lango backup restore FILE",
  ];
}

async function removeOld(
  context: Context,
  vault: Vault,
  old: readonly SlotSummary[],
): Promise<string[]> {
  if (old.length === 0) return [];
  if (!(await askYes(context, "Take the old passphrase away?"))) {
    context.note(
      'The old passphrase still opens the vault; "lango security slots remove" takes it away',
    );
    return [];
  }
  for (const { id } of old) await vault.slots.remove(id);
  return old.map(({ id }) => id);
}

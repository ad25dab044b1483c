import { type Bytes, type CryptoProvider, zero } from "@lango/crypto-core";
import { type Credential, readMasterKey } from "@lango/unlock";
import type { RekeyOptions, RekeyResult, SlotSummary, Vault } from "@lango/vault";
import { type Arguments, usageError } from "./arguments.ts";
import type { Result } from "./command.ts";
import type { Context } from "./context.ts";
import { nobodyToShow, writtenDownWords } from "./recovery-words.ts";
import { chooseSlots, type SlotChoice } from "./rekey-slots.ts";
import { renewKeys } from "./renew-keys.ts";
import { askYes, canAsk, requireYes } from "./terminal.ts";

/** An open vault, and what it takes to give it another key. */
export interface RekeyParts {
  readonly context: Context;
  readonly args: Arguments;
  readonly vault: Vault;
  readonly providers: Readonly<Record<string, CryptoProvider>>;
  /** What opened the vault; zeroed by the caller. */
  readonly opener: Credential;
}

export interface RekeyReport {
  readonly generation: number;
  readonly keys: number;
  readonly slots: readonly SlotSummary[];
  readonly dropped: readonly SlotSummary[];
  /** Places that hold a new random key now. */
  readonly renewed: readonly string[];
  readonly notRevoked: readonly string[];
}

/**
 * Lists which slots stay and which go, asks, and makes a new vault key.
 *
 * @param question - What is asked.
 * @param how - As in `vault.rekey`.
 * @param then - What goes on with the vault, open with the new key.
 */
export async function changeVaultKey(
  parts: RekeyParts,
  question: string,
  how: Pick<RekeyOptions, "compromised" | "acceptFaults">,
  then: (vault: Vault, report: RekeyReport) => Promise<Result>,
): Promise<Result> {
  const { context, args, vault, providers, opener } = parts;
  const fd = args.number("new-master-key-fd", 0);
  const newMasterKey =
    fd === undefined ? undefined : await readMasterKey(fd, "--new-master-key-fd");
  let words: Bytes | undefined;
  let choice: SlotChoice | undefined;
  try {
    const drop = args.strings("drop");
    choice = await chooseSlots({ context, vault, providers, opener, newMasterKey, drop });
    if (args.flag("dry-run")) return dryRun(choice, how.compromised ?? false);
    show(context, choice);
    checkDrop(context, args, choice);
    await requireYes(context, question);
    words = await offeredWords(context, args, choice);
    const result = await vault.rekey({
      credentials: choice.stay.map(({ credential }) => credential),
      drop: choice.go.map(({ slot }) => slot.id),
      add: words === undefined ? [] : [{ kind: "recovery", entropy: words }],
      ...how,
    });
    await using next = result.vault;
    const renewed = await renewKeys(context, next, result.slots);
    return await then(next, await reportOf(result, next, renewed));
  } finally {
    choice?.zero();
    zero(newMasterKey, words);
  }
}

const reportOf = async (
  { generation, keys, dropped, notRevoked }: RekeyResult,
  vault: Vault,
  renewed: readonly string[],
): Promise<RekeyReport> => ({
  ...{ generation, keys, dropped, renewed, notRevoked },
  slots: await vault.slots.list(),
});

const dryRun = ({ stay, go }: SlotChoice, compromised: boolean): Result => ({
  data: {
    dryRun: true,
    stay: stay.map(({ slot }) => slot),
    go: go.map(({ slot, reason }) => ({ ...slot, reason })),
  },
  text: `would make a new vault key${compromised ? ", then new data keys, seal every value again, and renew the MACs of rows" : ""}\n${lines(stay, go).join("\n")}`,
});

const lines = (stay: SlotChoice["stay"], go: SlotChoice["go"]): string[] => [
  ...stay.map(({ slot }) => `  stays  ${named(slot)}`),
  ...go.map(({ slot, reason }) => `  goes   ${named(slot)}: ${reason}`),
];

const named = ({ id, kind, label, uri }: SlotSummary): string =>
  [kind, label, uri, id].filter((part) => part !== undefined).join("  ");

const show = (context: Context, { stay, go }: SlotChoice): void => {
  for (const line of lines(stay, go)) context.note(line);
};

/** Nobody loses the words in the drawer because of a --yes in a script. */
function checkDrop(context: Context, args: Arguments, { go }: SlotChoice): void {
  const drop = args.strings("drop");
  const others = go.filter(({ slot }) => !drop.includes(slot.id));
  if (others.length === 0 || args.flag("drop-others")) return;
  if (canAsk(context) && !context.yes) return;
  throw usageError(
    `Nothing is at hand to keep ${others.map(({ slot }) => `${slot.kind} ${slot.id}`).join(", ")}`,
    "Say that they shall go: --drop ID for one, --drop-others for all of them",
  );
}

/** New words in the place of those that nobody can give to a program. */
async function offeredWords(
  context: Context,
  args: Arguments,
  { go }: SlotChoice,
): Promise<Bytes | undefined> {
  if (!canAsk(context)) {
    if (args.flag("recovery")) throw nobodyToShow();
    return undefined;
  }
  const lost = go.some(({ slot }) => slot.kind === "recovery");
  const wanted =
    args.flag("recovery") ||
    (lost && !context.yes && (await askYes(context, "Make new recovery words?")));
  return wanted ? writtenDownWords() : undefined;
}

import { CryptoError, isCryptoError, zero } from "@lango/crypto-core";
import { agentSource } from "./agent/source.ts";
import { askTwice } from "./ask-twice.ts";
import { flagSources } from "./flag-sources.ts";
import { masterKeySources } from "./master-key-sources.ts";
import { passphraseSources, prompt } from "./passphrase-sources.ts";
import { providerSlotSources } from "./provider-sources.ts";
import { recoveryWords } from "./recovery-source.ts";
import { type Attempt, type Source, skipped, TOO_OPEN } from "./source.ts";
import { type Surroundings, surroundingsOf } from "./surroundings.ts";
import type {
  SkippedSource,
  SlotInfo,
  SourceDescription,
  Unlocker,
  UnlockOptions,
} from "./types.ts";

/**
 * Makes an {@link Unlocker} that looks into these sources, in this order; a flag excludes all others:
 *
 * 1. flags: `--passphrase-fd`, `--passphrase-file`, `--passphrase-stdin`, `--master-key-fd`, `--recovery-words-fd`;
 * 2. the unlock agent, while one runs;
 * 3. master key: `LANGO_MASTER_KEY` (or `AUTHSOME_MASTER_KEY`), `ENCRYPTION_KEY` with its other versions, keyring,
 *    `master.key` in the home;
 * 4. provider slots, in the order of the slot file;
 * 5. passphrase: keyring, keyfile (`passphrase` in the home, or `LANGO_KEYFILE`), `LANGO_PASSPHRASE`,
 *    `$CREDENTIALS_DIRECTORY/lango.passphrase`, `/run/secrets/lango_passphrase`, prompt, standard input;
 * 6. recovery words, at a prompt that comes only when they are asked for by name.
 *
 * Only sources for which the vault has a slot count. One that is absent, locked or out of reach is skipped; the first
 * that gives a value is the last that is asked, whether or not the value opens anything. Each variable has a `_FILE` form.
 * Where only provider slots could have opened the vault, one that cannot be reached is the error.
 */
export function createUnlocker(options: UnlockOptions): Unlocker {
  const around = surroundingsOf(options);
  return {
    async obtain(slots) {
      const { sources, passOver } = plan(around, slots);
      const { source, found, skipped } = await takeFirst(around, sources, passOver);
      const { secret, from = { source: source.name, secret, ambient: source.ambient } } = found;
      const candidates = fitting(source, slots);
      return {
        credential: {
          // A raw key may fit slots of several kinds; it is called after the first that will be tried.
          kind: candidates[0]?.kind ?? source.kinds[0]!,
          ...from,
          slotIds: found.slotIds ?? candidates.map((slot) => slot.id),
          ...(found.others === undefined ? {} : { others: found.others }),
          ...(found.again === undefined ? {} : { again: found.again }),
        },
        skipped,
      };
    },
    async obtainNewPassphrase(wanted = {}) {
      const { replacing = false } = wanted;
      const ask = askTwice(around.prompt, wanted);
      const flag = onlyFlag(flagSources(around).filter(isPassphrase));
      const sources =
        flag !== undefined ? [flag] : replacing ? [prompt(ask)] : passphraseSources(around, ask);
      const { source, found, skipped } = await takeFirst(around, sources, (candidate) =>
        whyTooOpen(around, candidate),
      );
      const { name, ambient } = source;
      return { passphrase: found.secret, source: name, ambient, skipped };
    },
    async describe(slots) {
      const { sources, passOver } = plan(around, slots);
      const lines: SourceDescription[] = [];
      for (const source of sources) {
        const line = await describeSource(source, passOver(source));
        lines.push(line);
        if (line.state !== "skipped") break;
      }
      return lines;
    },
  };
}

type PassOver = (source: Source) => string | undefined;

/** The sources that count for a vault, in order, and which of them are passed over unasked. */
function plan(
  around: Surroundings,
  slots: readonly SlotInfo[],
): { sources: readonly Source[]; passOver: PassOver } {
  const { unlockWith } = around;
  const flag = onlyFlag(flagSources(around));
  if (flag !== undefined && unlockWith !== undefined && !flag.kinds.includes(unlockWith)) {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      `${flag.name} and --unlock-with ${unlockWith} contradict each other`,
    );
  }
  const passOver: PassOver = (source) => {
    if (unlockWith !== undefined && !source.kinds.includes(unlockWith)) {
      return passedOverBy(unlockWith);
    }
    if (!source.kinds.includes("agent") && fitting(source, slots).length === 0) {
      return `the vault has no ${source.opens?.what ?? source.kinds.join(" or ")} slot`;
    }
    return whyTooOpen(around, source);
  };
  const sources =
    flag !== undefined
      ? [flag]
      : [
          ...(around.skipAgent === true ? [] : [agentSource(around)]),
          ...masterKeySources(around),
          ...providerSlotSources(around, slots),
          ...passphraseSources(around, around.prompt),
          recoveryWords(around),
        ];
  return { sources, passOver };
}

const passedOverBy = (unlockWith: string): string => `--unlock-with ${unlockWith} passes over it`;

const fitting = (source: Source, slots: readonly SlotInfo[]): readonly SlotInfo[] =>
  slots.filter((slot) => source.kinds.includes(slot.kind) && (source.opens?.fits(slot) ?? true));

const isPassphrase = (source: Source): boolean => source.kinds.includes("passphrase");

const whyTooOpen = (around: Surroundings, source: Source): string | undefined =>
  around.skipAmbient && source.ambient ? TOO_OPEN : undefined;

function onlyFlag(flags: readonly Source[]): Source | undefined {
  if (flags.length < 2) return flags[0];
  throw new CryptoError(
    "ERR_INVALID_ARGUMENT",
    `${flags.map((flag) => flag.name).join(" and ")} cannot be given together`,
    { context: { hint: "Give one of them" } },
  );
}

type Found = Extract<Attempt, { state: "found" }>;

async function takeFirst(
  { unlockWith }: Surroundings,
  sources: readonly Source[],
  passOver: PassOver,
): Promise<{ source: Source; found: Found; skipped: SkippedSource[] }> {
  const before: SkippedSource[] = [];
  const failures: CryptoError[] = [];
  let onlyProviders = true;
  for (const source of sources) {
    const reason = passOver(source);
    const attempt = reason === undefined ? await source.take() : skipped(reason);
    if (attempt.state === "found") return { source, found: attempt, skipped: before };
    before.push({ source: source.name, reason: attempt.reason });
    if (attempt.failure !== undefined) failures.push(attempt.failure);
    // An agent that does not run could not have been asked for anything.
    const isAsked = reason === undefined && !source.kinds.includes("agent");
    if (isAsked && !source.kinds.includes("provider")) onlyProviders = false;
  }
  // Then there is nothing that a person could give: whoever waits and tries again may succeed.
  if (onlyProviders && failures[0] !== undefined) throw failures[0];
  // What was passed over because somebody asked for it would bury the one reason that counts.
  const counting = before.filter(
    ({ reason }) => unlockWith === undefined || reason !== passedOverBy(unlockWith),
  );
  const list = counting.map(({ source, reason }) => `${source}: ${reason}`).join("; ");
  throw new CryptoError("ERR_LOCKED", "No source gave a passphrase or key for the vault", {
    context: { hint: `Looked into ${list}` },
  });
}

async function describeSource(
  source: Source,
  passedOver: string | undefined,
): Promise<SourceDescription> {
  if (passedOver !== undefined) {
    return { source: source.name, state: "skipped", reason: passedOver };
  }
  try {
    const reason = await (source.look ?? takeAndForget(source))();
    return reason === undefined
      ? { source: source.name, state: "would use" }
      : { source: source.name, state: "skipped", reason };
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    return { source: source.name, state: "fault", reason: error.message };
  }
}

const takeAndForget = (source: Source) => async (): Promise<string | undefined> => {
  const attempt = await source.take();
  if (attempt.state === "skipped") return attempt.reason;
  zero(attempt.secret, ...(attempt.others ?? []).map(({ secret }) => secret));
  return undefined;
};

import { isCryptoError } from "@lango/crypto-core";
import { createUnlocker } from "@lango/unlock";
import { type LockedStatus, type LockedVault, type RotationStatus, readVault } from "@lango/vault";
import { agentFacts } from "../cli/agent-facts.ts";
import type { Handler } from "../cli/command.ts";
import { readCompanionRecords } from "../cli/companion-record.ts";
import type { Context } from "../cli/context.ts";
import { standing, uncheckedWishes } from "../cli/in-force.ts";
import { lazyKeyring } from "../cli/keyring.ts";
import { facts, when } from "../cli/output.ts";
import { vaultPlace } from "../cli/place.ts";
import { type ProviderRecord, readRecord } from "../cli/provider-record.ts";
import {
  ambientSchemes,
  configuredKey,
  configuredSchemes,
  type KeySettings,
  targetOf,
} from "../cli/provider-settings.ts";
import { canAsk } from "../cli/terminal.ts";
import { wouldUnlock } from "../cli/would-unlock.ts";
import { loadConfig, readConfigFile } from "../config/load.ts";
import { isShaped } from "../config/shape.ts";

/**
 * Shows what protects the vault. This is the command that scripts poll, so its file of the program holds nothing else:
 * without a vault it offers nothing, because onboarding would have to be in there.
 */
export const run: Handler = async (context, args) => {
  await using vault = await readVault(await vaultPlace(context));
  const wishes = await uncheckedWishes(context.home);
  const { keyring, anchor } = wishes;
  const asked = args.flag("probe");
  const sound = await warnOfFaults(context, asked);
  const status = await vault.status();
  const { mode, provider, database, facts: settings } = standing(wishes, context.home, status);
  const lastProbe = await lastProbeOf(context, wishes, sound && asked);
  const key = keyOf(wishes, context.home);
  // Nobody knows what is in an encrypted database while it is locked.
  const isHidden = status.dataKeys === null;
  const companions = isHidden ? undefined : await companionsOf(vault, context.home);
  const sources = await createUnlocker({
    home: context.home,
    env: context.env,
    keyringEnabled: keyring.enabled,
    keyring: lazyKeyring(context),
    providerSlots: { ambient: ambientSchemes(configuredSchemes(wishes), context.env) },
    // Nobody is asked; whether there is somebody to ask decides what would be used.
    prompt: canAsk(context) ? async () => undefined : undefined,
    stdinFree: true,
  }).describe(await vault.slots.list());
  const { used, text: unlockText } = wouldUnlock(sources);
  const { agent, text: agentText } = await agentFacts(context.home);
  return {
    data: {
      home: context.home,
      // Where the keys are, and not where the settings would have them.
      mode,
      unlockSource: used?.source ?? null,
      sources,
      agent,
      provider: { ...provider, key: key ?? null, lastProbe: lastProbe ?? null },
      companion: companions?.length === 0 ? null : { devices: companions ?? null },
      audit: { anchor: anchor === "" ? null : anchor },
      ...status,
      database,
    },
    text: facts([
      ["home", context.home],
      ["stored in", status.location],
      [
        "vault",
        status.createdAt === null ? status.id : `${status.id}, made ${when(status.createdAt)}`,
      ],
      ["mode", mode ?? "locked"],
      ...settings,
      ...(provider.name === "local" ? [] : providerFacts(key, lastProbe)),
      ["rooted in", rootText(status)],
      ["would unlock with", unlockText],
      ["unlock agent", agentText],
      ["slots", status.slots.map(({ kind, kdf }) => (kdf ? `${kind} (${kdf})` : kind)).join(", ")],
      ["keys", `${status.keyCount ?? "locked"}`],
      ["secrets", `${status.secretCount ?? "locked"}`],
      ["companion", companions ? companionText(companions, lastProbe, provider.name) : "locked"],
      ["log anchored by", anchor === "" ? "nothing" : anchor],
      [
        "degraded",
        status.degradedDataKeys === null ? "locked" : degradedText(status.degradedDataKeys),
      ],
      ...(isHidden ? [["rotation", "locked"] as const] : []),
      ...(status.rotation === null ? [] : [["rotation", rotationText(status.rotation)] as const]),
      ...(status.renewing ? [["after a compromise", RENEWING] as const] : []),
    ]),
  };
};

/** The key without which nothing opens, else the kinds of slots. Slots of a provider alone could be either. */
const rootText = ({ rootedIn, slots, dataKeys }: LockedStatus): string => {
  if (rootedIn !== null) return rootedIn;
  const kinds = [...new Set(slots.map(({ kind }) => kind))].join(", ");
  return dataKeys === null && kinds === "provider" ? "locked" : kinds;
};

const degradedText = (count: number): string =>
  count === 0
    ? "no"
    : `${count} data ${count === 1 ? "key awaits" : "keys await"} re-wrap: lango security provider rewrap`;

const RENEWING = "rows are under the former key too, not ended: lango security rotate --resume";

const rotationText = ({ startedAt }: RotationStatus): string =>
  `begun ${when(startedAt)} and not ended: lango security rotate --resume`;

interface PairedDevice {
  readonly name: string;
  readonly role: string;
  readonly state: string;
  readonly pairedAt: number;
  readonly lastSeenAt: number | null;
  /** Whether a process of this home has a connection with it now. */
  readonly connected: boolean;
}

async function companionsOf({ companions }: LockedVault, home: string): Promise<PairedDevice[]> {
  const devices = await companions.list();
  if (devices.length === 0) return [];
  const records = readCompanionRecords(home);
  return devices.map(({ id, name, role, state, pairedAt }) => {
    const { seenAt = null, pid } = records.get(id) ?? {};
    return { name, role, state, pairedAt, lastSeenAt: seenAt, connected: pid !== undefined };
  });
}

/** Whoever keeps keys for this vault, or asks for those of this one. */
function companionText(
  devices: readonly PairedDevice[],
  probe: ProviderRecord | undefined,
  provider: string,
): string {
  if (devices.length === 0) return provider === "rpc" ? "none: lango companion pair" : "none";
  return devices
    .map(({ name, role, state, connected, lastSeenAt }) => {
      const seen = lastSeenAt === null ? "not seen yet" : `last seen ${when(lastSeenAt)}`;
      const reached =
        role !== "companion" || probe === undefined
          ? []
          : [probe.healthy ? "answers" : `does not answer: ${probe.reason ?? "no reason given"}`];
      const facts = [role, state, connected ? "connected" : seen, ...reached];
      return `${name} (${facts.join(", ")})`;
    })
    .join("; ");
}

/** What the last command saw of the provider. It is asked only when that is wanted: the status costs no connection. */
async function lastProbeOf(
  context: Context,
  wishes: KeySettings,
  ask: boolean,
): Promise<ProviderRecord | undefined> {
  const name = wishes.signer.provider;
  if (name === "local") return undefined;
  if (!ask) return readRecord(context.home, targetOf(name, wishes));
  const { probe } = await import("../cli/probe.ts");
  return probe(context, wishes);
}

/** The key that the settings name, if they do. */
function keyOf(wishes: KeySettings, home: string): string | undefined {
  try {
    return wishes.signer.provider === "local"
      ? undefined
      : configuredKey(wishes, "encryption", home);
  } catch {
    return undefined;
  }
}

const providerFacts = (
  key: string | undefined,
  probe: ProviderRecord | undefined,
): (readonly [string, string])[] => [
  ["provider key", key ?? "none: the settings name no key"],
  ["last probe", probe === undefined ? "none; ask with --probe" : probeText(probe)],
  ...(probe?.token === undefined ? [] : [["token", probe.token] as const]),
  ["circuit", probe?.circuit ?? "closed"],
];

const probeText = ({ checkedAt, healthy, latencyMs, reason }: ProviderRecord): string =>
  `${when(checkedAt)}, ${healthy ? "healthy" : `not healthy: ${reason ?? "no reason given"}`}, ${Math.round(latencyMs)} ms`;

/**
 * The status is shown all the same: it is asked for when something is wrong. Loading the schema takes longer than all the
 * rest, so without a probe it is loaded only for a file that cannot be sound: "lango doctor" checks every value.
 *
 * @param isUsed - Whether the provider of the settings is asked.
 * @returns Whether the settings are sound.
 */
async function warnOfFaults({ home, warn }: Context, isUsed: boolean): Promise<boolean> {
  try {
    const file = await readConfigFile(home);
    if (isUsed || (file !== undefined && !isShaped(file))) await loadConfig(home);
    return true;
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    warn(`${error.message}; most commands will refuse to work`);
    return false;
  }
}

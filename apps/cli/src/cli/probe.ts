import type { Context } from "./context.ts";
import { type ProviderRecord, readRecord } from "./provider-record.ts";
import { type KeySettings, targetOf } from "./provider-settings.ts";
import { closeWatched, openSigner } from "./providers.ts";

/** As long as the health cache of a process keeps a report. */
const FRESH_MS = 30_000;

/** Asks the provider of the settings how it is, unless a command learned that within the last 30 seconds. */
export async function probe(context: Context, settings: KeySettings): Promise<ProviderRecord> {
  const target = targetOf(settings.signer.provider, settings);
  const known = readRecord(context.home, target);
  const age = known === undefined ? Number.POSITIVE_INFINITY : Date.now() - known.checkedAt;
  if (known !== undefined && age >= 0 && age < FRESH_MS) return known;
  const watched = await openSigner(context, settings);
  try {
    const report = await watched.provider.health({});
    return (await watched.seen()) ?? { ...report, target, circuit: "closed" };
  } finally {
    await closeWatched(context.home, watched);
  }
}

import type { Context } from "./context.ts";
import { type ProviderRecord, readRecord, writeRecord } from "./provider-record.ts";
import type { KeySettings } from "./provider-settings.ts";
import { targetOf } from "./provider-settings.ts";
import { openSigner } from "./providers.ts";

/** As long as the health cache of a process keeps a report. */
const FRESH_MS = 30_000;

/** Asks the provider of the settings how it is, unless a command learned that within the last 30 seconds. */
export async function probe(context: Context, settings: KeySettings): Promise<ProviderRecord> {
  const target = targetOf(settings.signer.provider, settings);
  const known = readRecord(context.home, target);
  const age = known === undefined ? Number.POSITIVE_INFINITY : Date.now() - known.checkedAt;
  if (known !== undefined && age >= 0 && age < FRESH_MS) return known;
  const { provider } = await openSigner(context, settings);
  try {
    const record: ProviderRecord = { ...(await provider.health({})), target, circuit: "closed" };
    await writeRecord(context.home, record);
    return record;
  } finally {
    await provider.close();
  }
}

import { CryptoError } from "@lango/crypto-core";
import { retry } from "../busy.ts";
import { postgresDialect } from "../dialect.ts";
import { latestVersion, tooOld } from "../migrate.ts";
import type { Migration } from "../migrations.ts";
import type { OpenUrlOptions } from "../open.ts";
import type { Store } from "../store.ts";
import { parseAddress } from "./address.ts";
import { loadPg } from "./driver.ts";
import {
  LIMITS,
  type Limits,
  type Place,
  PreparedStatements,
  READ_ONLY,
  whileLost,
} from "./link.ts";
import { withAdvisoryLock } from "./lock.ts";
import { inspect, migrate } from "./migrate.ts";
import { Source } from "./source.ts";
import { createPostgresStore } from "./store.ts";

/** `openStore` for a URL. */
export async function openPostgres(
  options: OpenUrlOptions,
  migrations: readonly Migration[],
  timeoutMs: number,
  limits: Limits = LIMITS,
): Promise<Store> {
  const address = parseAddress(options.url);
  const dialect = postgresDialect();
  const place: Place = {
    address,
    dialect,
    timeoutMs,
    limits,
    Client: await loadPg(),
    prepared: new PreparedStatements(dialect),
  };
  const reader = new Source(place, READ_ONLY);
  try {
    await bringUpToDate(place, reader, { mode: options.mode, migrations });
  } catch (error) {
    await reader.close();
    throw error;
  }
  return createPostgresStore({
    place,
    migrations,
    version: latestVersion(migrations),
    reader,
    readOnly: options.mode === "read",
  });
}

async function bringUpToDate(
  place: Place,
  reader: Source,
  { mode, migrations }: { mode: OpenUrlOptions["mode"]; migrations: readonly Migration[] },
): Promise<void> {
  const { location } = place.address;
  const version = await retry(whileLost(place), async () =>
    inspect(await reader.get(), place, migrations),
  );
  if (version === latestVersion(migrations)) return;
  if (version === undefined && mode !== "create") {
    throw new CryptoError("ERR_NOT_FOUND", `There is no database of Lango at ${location}`);
  }
  if (mode === "read") throw tooOld(location);
  await withAdvisoryLock(place, place.timeoutMs, (link) => migrate(link, place, migrations));
}

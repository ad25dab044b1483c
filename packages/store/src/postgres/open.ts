import { CryptoError } from "@lango/crypto-core";
import type { Migration } from "../migrations.ts";
import type { OpenUrlOptions } from "../open.ts";
import type { Store } from "../store.ts";

/** `openStore` for a URL. */
export async function openPostgres(
  _options: OpenUrlOptions,
  _migrations: readonly Migration[],
): Promise<Store> {
  throw new CryptoError("ERR_UNSUPPORTED", "PostgreSQL is not there yet");
}

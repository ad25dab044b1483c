import { existsSync } from "node:fs";
import { join } from "node:path";
import { inspectHome, type StoreAddress } from "@lango/vault";
import { configuredStore } from "../config/store.ts";
import type { Context } from "./context.ts";

/** Where the vault of a command is, as every function that opens one takes it. */
export interface VaultPlace {
  readonly home: string;
  readonly store?: StoreAddress | undefined;
}

/** @throws CryptoError `ERR_CONFIG` as `configuredStore`. */
export async function vaultPlace({
  home,
  env,
}: Pick<Context, "home" | "env">): Promise<VaultPlace> {
  const store = await configuredStore(home, env);
  return store === undefined ? { home } : { home, store: { url: store.url } };
}

/** Whether there may be a vault to open, which then finds all that inspecting would. */
export async function mayHoldVault({ home, store }: VaultPlace): Promise<boolean> {
  // The slots are the last thing that onboarding puts into place.
  return store ? (await inspectHome(home, store)) === "ready" : existsSync(slotsFile(home));
}

const slotsFile = (home: string): string => join(home, "keyslots.json");

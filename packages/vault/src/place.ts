import { CryptoError, isCryptoError } from "@lango/crypto-core";
import { openStore, type Store, type StoreReads } from "@lango/store";
import { type HomePaths, homePaths } from "./keyslots-file.ts";
import type { StoreAddress } from "./types.ts";

/** Where the parts of a vault are. */
export interface Place {
  readonly paths: HomePaths;
  /** Open already where the slots are in it, since they come first. */
  readonly store: Store | undefined;
}

interface Where {
  readonly home: string;
  readonly store?: StoreAddress | undefined;
  readonly busyTimeoutMs?: number | undefined;
}

/** @throws {@link CryptoError} `ERR_NOT_FOUND` when the server has no database of lango, and as `openStore`. */
export const openPlace = async (
  { home, store: address, busyTimeoutMs }: Where,
  mode: "create" | "open" | "read",
): Promise<Place> => {
  if (address === undefined) return { paths: homePaths(home), store: undefined };
  const timeout = busyTimeoutMs === undefined ? {} : { busyTimeoutMs };
  const store = await openStore({ url: address.url, mode, ...timeout });
  return { paths: pathsOn(home, store), store };
};

/** The places of a vault whose rows and slots are in a database of their own. */
export const pathsOn = (home: string, store: Store): HomePaths => ({
  ...homePaths(home),
  database: store.location,
  keyslots: `The table keyslots of ${store.location}`,
  slotRow: store,
});

/** The job that a store has while a vault is moved into it; see `moveVault`. */
export const MOVE_JOB = "store-migrate";

/** @throws {@link CryptoError} `ERR_CONFLICT` while a vault is being moved into this database. */
export const checkComplete = async (
  store: Pick<StoreReads, "jobs">,
  location: string,
): Promise<void> => {
  if ((await store.jobs.find(MOVE_JOB)) === undefined) return;
  throw new CryptoError("ERR_CONFLICT", `A vault is being moved to ${location}`, {
    context: { hint: "If that was interrupted, finish it: lango store migrate" },
  });
};

/** @throws {@link CryptoError} `ERR_CONFLICT` when the vault was moved out of this database. */
export const checkNotMoved = async (
  store: Pick<StoreReads, "audit">,
  location: string,
): Promise<void> => {
  const to = await store.audit.movedTo();
  if (to !== undefined) throw movedAway(location, to);
};

export const movedAway = (from: string, to: string): CryptoError =>
  new CryptoError("ERR_CONFLICT", `The vault in ${from} was moved to ${to}`, {
    context: {
      hint: `If that was interrupted, finish it: lango store migrate --to ${/^postgres(ql)?:/.test(to) ? to : "sqlite"}; else let the setting store, or DATABASE_URL, name it`,
    },
  });

/** Whether there was nothing at the place. */
export const isAbsent = (error: unknown): boolean =>
  isCryptoError(error) && error.code === "ERR_NOT_FOUND";

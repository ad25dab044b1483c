import { existsSync } from "node:fs";
import { fromHex } from "@lango/crypto-core";
import {
  inspectServer,
  openStore,
  SCHEMA_VERSION,
  type ServerState,
  type Store,
  type StoreReads,
} from "@lango/store";
import { noVault, openPlain } from "./home.ts";
import { type HomePaths, homePaths, readKeyslots } from "./keyslots-file.ts";
import { alreadyIn, checkOurs } from "./move-target.ts";
import { checkComplete, isAbsent, MOVE_JOB, movedAway, openPlace, pathsOn } from "./place.ts";
import type { MoveVaultOptions, StoreAddress } from "./types.ts";

const DEFAULT_BUSY_MS = 5_000;

/** What `planMove` takes. */
export type PlanMoveOptions = Pick<MoveVaultOptions, "home" | "store" | "to" | "busyTimeoutMs">;

/** What a move would find and do. */
export interface MovePlan {
  readonly vaultId: string;
  /** Both without passwords. */
  readonly from: string;
  readonly to: string;
  /** What would be copied, in all; `null`: the database is encrypted, and nothing opens it here. */
  readonly rows: number | null;
  readonly secretCount: number | null;
  readonly keyCount: number | null;
  /**
   * What is in the new place. `nothing`: it would be made. `empty`: there are tables. `left`: this vault, which was moved away from
   * there, and would be replaced. `half-filled`: a move was interrupted. `older`: tables of an older lango, which would be
   * migrated first. `encrypted`: a file that nothing opens here.
   */
  readonly target: "nothing" | "empty" | "left" | "half-filled" | "older" | "encrypted";
  /** Of a server. */
  readonly server: Pick<ServerState, "server" | "role" | "tls" | "schemaVersion"> | undefined;
}

/**
 * Looks at both places of a move, and changes nothing. Nothing is authenticated: there is no key.
 *
 * @throws {@link CryptoError} What `moveVault` would throw, as far as it shows without the vault's key: a place that cannot be
 *   reached, is no place for it, holds something else, or whose role lacks rights.
 */
export const planMove = async (options: PlanMoveOptions): Promise<MovePlan> => {
  const { home, to } = options;
  const place = await openPlace(options, "read").catch(async (error) => {
    throw isAbsent(error) ? await noVault(options) : error;
  });
  const { paths } = place;
  let source = place.store;
  try {
    const file = await readKeyslots(paths);
    if (!file) throw await noVault(options);
    source ??= await openPlain(paths);
    if (source) await checkComplete(source, paths.database);
    if (to === "home" && !paths.slotRow) throw alreadyIn(paths.database);
    const { vaultId } = file.keyslots;
    const looksAt = { vaultId, movedTo: await source?.audit.movedTo(), from: paths.database };
    const found = await (to === "home"
      ? lookAtHome(homePaths(home), looksAt)
      : lookAtServer(to, options, looksAt));
    return { vaultId, from: paths.database, ...(await sizeOf(source)), ...found };
  } finally {
    await source?.close();
  }
};

type Size = Pick<MovePlan, "rows" | "secretCount" | "keyCount">;

const sizeOf = async (source: Store | undefined): Promise<Size> => {
  if (!source) return { rows: null, secretCount: null, keyCount: null };
  let rows = 0;
  for (const table of source.copy.tables) rows += await source.copy.count(table);
  const { secrets, keys } = await source.counts();
  return { rows, secretCount: secrets, keyCount: keys };
};

/** What the source says of itself. */
interface Looking {
  readonly vaultId: string;
  readonly movedTo: string | undefined;
  readonly from: string;
}

type Found = Pick<MovePlan, "to" | "target" | "server">;

const lookAtHome = async (paths: HomePaths, looking: Looking): Promise<Found> => {
  checkWay(looking, paths.database);
  const found = { to: paths.database, server: undefined };
  if (!existsSync(paths.database)) return { ...found, target: "nothing" };
  await using store = await openPlain(paths);
  if (!store) return { ...found, target: "encrypted" };
  return { ...found, target: await stateOf(store, { store, paths }, looking) };
};

const lookAtServer = async (
  { url }: StoreAddress,
  { home, busyTimeoutMs = DEFAULT_BUSY_MS }: PlanMoveOptions,
  looking: Looking,
): Promise<Found> => {
  const { location, ...server } = await inspectServer({ url, busyTimeoutMs });
  if (location === looking.from) throw alreadyIn(location);
  checkWay(looking, location);
  const found = { to: location, server };
  const { schemaVersion } = server;
  if (schemaVersion === undefined) return { ...found, target: "nothing" };
  if (schemaVersion < SCHEMA_VERSION) return { ...found, target: "older" };
  await using store = await openStore({ url, mode: "read", busyTimeoutMs });
  return {
    ...found,
    target: await stateOf(store, { store, paths: pathsOn(home, store) }, looking),
  };
};

/** @throws {@link CryptoError} `ERR_CONFLICT` when the vault has gone another way already. */
const checkWay = ({ movedTo, from }: Looking, to: string): void => {
  if (movedTo !== undefined && movedTo !== to) throw movedAway(from, movedTo);
};

const stateOf = async (
  reads: StoreReads,
  target: Parameters<typeof checkOurs>[0]["target"],
  { vaultId, movedTo }: Looking,
): Promise<MovePlan["target"]> => {
  if (await reads.jobs.find(MOVE_JOB)) return "half-filled";
  // An earlier call died when it had all but changed the setting.
  if (movedTo !== undefined) return "half-filled";
  await checkOurs({ reads, target, vaultId: fromHex(vaultId) ?? new Uint8Array() });
  return (await reads.vault.get()) ? "left" : "empty";
};

import { fromHex } from "@lango/crypto-core";
import type { Store } from "@lango/store";
import { secretPolicies } from "./approvals/secret-policies.ts";
import { findLast, readTail } from "./audit/audit.ts";
import { readRecords } from "./audit/records.ts";
import { liveSecrets } from "./audit/row-hashes.ts";
import { verifyChain } from "./audit/verify.ts";
import { companionInfo } from "./companions.ts";
import { createGate } from "./gate.ts";
import { checkSameVault, mixed, noVault, openPlain } from "./home.ts";
import { keyInfo, keyUri } from "./key-registry.ts";
import { type KeyslotsFile, readKeyslots } from "./keyslots-file.ts";
import { checkAudience, isHiddenFrom } from "./names.ts";
import { checkComplete, checkNotMoved, isAbsent, openPlace } from "./place.ts";
import { readEncrypted } from "./read-encrypted.ts";
import type { SecretInfo } from "./secret-types.ts";
import { secretInfo } from "./secrets.ts";
import { listSlots } from "./slots.ts";
import { readStatus } from "./status.ts";
import type { Audience, LockedVault, StoreAddress } from "./types.ts";

/**
 * Opens what can be seen of a vault without its key: names, times, counts, slots and the links of the log. Writes nothing.
 *
 * @throws {@link CryptoError} `ERR_LOCKED` when there is no vault; `ERR_INTEGRITY`, `ERR_MALFORMED_ENVELOPE` or
 *   `ERR_CONFLICT` for files that are damaged or do not belong together; as `openStore` of `@lango/store`.
 */
export const readVault = async (options: {
  readonly home: string;
  readonly store?: StoreAddress | undefined;
}): Promise<LockedVault> => {
  const { home } = options;
  const place = await openPlace(options, "read").catch(async (error) => {
    throw isAbsent(error) ? await noVault(options) : error;
  });
  const { paths } = place;
  let opened = place.store;
  let file: KeyslotsFile | undefined;
  try {
    file = await readKeyslots(paths);
    if (!file) throw await noVault(options);
    opened ??= await openPlain(paths);
    if (!opened) return readEncrypted(home, paths, file);
    const row = await opened.vault.get();
    if (!row) throw mixed(`${paths.database} has no vault, ${paths.keyslots} has`);
    checkSameVault(row, file);
    await checkComplete(opened, paths.database);
    await checkNotMoved(opened, paths.database);
  } catch (error) {
    await opened?.close();
    throw error;
  }
  const store = opened;
  const gate = createGate("The vault");
  const vaultId = fromHex(file.keyslots.vaultId) ?? new Uint8Array();
  const vault: LockedVault = {
    id: file.keyslots.vaultId,
    home,
    hidesRows: false,
    secrets: { list: (options = {}) => gate.run(() => listSecrets(store, options.audience)) },
    keys: { list: () => gate.run(async () => (await store.keys.list()).map(keyInfo)) },
    slots: { list: () => gate.run(() => listSlots(paths)) },
    companions: {
      list: () => gate.run(async () => (await store.companions.list()).map(companionInfo)),
    },
    audit: {
      verifyLinks: (options) => gate.run(() => verifyChain({ ...options, store, paths, vaultId })),
      tail: (count) => gate.run(() => readTail(store, count)),
      findLast: (action) => gate.run(() => findLast(store, action)),
      records: (options) => readRecords(store, options),
    },
    status: () => gate.run(() => readStatus(store, paths, undefined)),
    async close() {
      await gate.close();
      await store.close();
    },
    [Symbol.asyncDispose]: () => vault.close(),
  };
  return vault;
};

const listSecrets = async (store: Store, audience: Audience | undefined): Promise<SecretInfo[]> => {
  checkAudience(audience);
  const uris = new Map((await store.keys.list()).map((key) => [key.id, keyUri(key)]));
  // Nothing here is authenticated: there is no key.
  const policies = await secretPolicies(store, () => undefined);
  const infos: SecretInfo[] = [];
  for await (const row of liveSecrets(store)) {
    if (!isHiddenFrom(audience, row.name)) infos.push(secretInfo(row, uris, policies));
  }
  return infos;
};

import { CryptoError, randomBytesFresh, toHex } from "@lango/crypto-core";
import { sealValue } from "@lango/envelope";
import type { KeyRow, SecretVersionRow, StoreTransaction } from "@lango/store";
import { removeAllIn } from "./approvals/permits.ts";
import { policySubject } from "./approvals/secret-policies.ts";
import type { RowChange } from "./audit/entry.ts";
import { changeOf, versionChange, versionRemoved } from "./audit/row-hashes.ts";
import type { VaultContext } from "./context.ts";
import type { Sealer } from "./data-keys.ts";
import { KEPT_VERSIONS, recordAad, SECRETS } from "./names.ts";
import { checkRow, withMac } from "./rows.ts";
import type { SetSecretOptions, SetSecretResult } from "./secret-types.ts";
import { reached } from "./stages.ts";
import type { Audience } from "./types.ts";

/** One write: what goes in, and what the log says about it. */
export interface SecretWrite {
  readonly action: "secret.set" | "secret.rollback";
  readonly name: string;
  readonly value: Uint8Array;
  readonly options: SetSecretOptions;
  readonly detail?: string | undefined;
}

/** Everything of a write in one transaction. The value is sealed inside it, because its AAD names the version. */
export const writeIn = async (
  tx: StoreTransaction,
  { vaultId, keys, log, clock }: VaultContext,
  { action, name, value, options, detail }: SecretWrite,
  key: KeyRow,
  { id: dataKeyId, dataKey }: Sealer,
): Promise<SetSecretResult> => {
  const existing = await tx.secrets.describe(SECRETS, name);
  if (existing) checkRow(keys.rows, "secrets", existing);
  const live = existing !== undefined && existing.deletedAt === null;
  checkExpected(name, live ? existing.currentVersion : 0, options);

  const version = (existing?.currentVersion ?? 0) + 1;
  const now = clock();
  const row = withMac(keys.rows, "secrets", {
    id: existing?.id ?? toHex(randomBytesFresh(12)),
    collection: SECRETS,
    name,
    keyId: key.id,
    currentVersion: version,
    createdAt: existing?.createdAt ?? now,
    updatedAt: now,
    deletedAt: null,
    uses: existing?.uses ?? 0,
    lastUsedAt: existing?.lastUsedAt ?? null,
  });
  const versionRow: SecretVersionRow = {
    secretId: row.id,
    version,
    dataKeyId,
    sealed: sealValue(dataKey, value, recordAad(vaultId, SECRETS, name, version)),
    size: value.length,
    createdAt: now,
  };
  const rows: RowChange[] = [changeOf("secrets", row), versionChange(row, versionRow)];
  // What needs no answer goes together, which saves a server's round trips; it keeps the order.
  const more: Promise<unknown>[] = [];
  if (existing) {
    const [, kept] = await Promise.all([
      tx.secrets.addVersion(row, versionRow, existing.currentVersion),
      tx.secrets.listVersions(row.id),
    ]);
    for (const old of kept.slice(KEPT_VERSIONS)) rows.push(versionRemoved(row, old.version));
    if (kept.length > KEPT_VERSIONS) more.push(tx.secrets.pruneVersions(row.id, KEPT_VERSIONS));
  } else {
    more.push(tx.secrets.insertSecret(row, versionRow));
  }
  reached("secret:written");
  const { audience } = options;
  more.push(log.appendIn(tx, { action, target: name, version, rows, audience, detail }));
  await Promise.all(more);
  reached("secret:audited");
  return { name, version, created: !live };
};

/** Removes the versions and leaves a tombstone. */
export const deleteIn = async (
  tx: StoreTransaction,
  { keys, log, clock }: VaultContext,
  name: string,
  audience: Audience | undefined,
): Promise<void> => {
  const existing = await tx.secrets.describe(SECRETS, name);
  if (!existing) throw noSecret(name);
  checkRow(keys.rows, "secrets", existing);
  if (existing.deletedAt !== null) throw noSecret(name);
  const deletedAt = clock();
  const row = withMac(keys.rows, "secrets", { ...existing, updatedAt: deletedAt, deletedAt });
  const [removed] = await Promise.all([
    tx.secrets.listVersions(existing.id),
    tx.secrets.tombstone({ id: row.id, deletedAt, mac: row.mac }, existing.currentVersion),
  ]);
  const rows: RowChange[] = [
    changeOf("secrets", row),
    ...removed.map(({ version }) => versionRemoved(row, version)),
  ];
  // What was allowed for this secret is not for the next one of its name.
  const subject = policySubject(name);
  const [policy, handles] = await Promise.all([
    tx.policies.find(subject),
    tx.permits.listFor("handle", name),
  ]);
  if (policy) {
    await tx.policies.remove(subject);
    rows.push(["policies", subject, null]);
  }
  rows.push(...(await removeAllIn(tx, handles)));
  await log.appendIn(tx, { action: "secret.delete", target: name, rows, audience });
};

const checkExpected = (
  name: string,
  current: number,
  { createOnly, ifVersion }: SetSecretOptions,
): void => {
  if (createOnly && current > 0) {
    throw new CryptoError("ERR_CONFLICT", `Secret ${name} exists already`);
  }
  if (ifVersion !== undefined && ifVersion !== current) {
    const message =
      current === 0
        ? `There is no secret ${name}, so it is not at version ${ifVersion}`
        : `Secret ${name} is at version ${current}, not ${ifVersion}`;
    throw new CryptoError("ERR_CONFLICT", message);
  }
};

export const noSecret = (name: string): CryptoError =>
  new CryptoError("ERR_NOT_FOUND", `There is no secret ${name}`);

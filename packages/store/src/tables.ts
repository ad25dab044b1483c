import { type Executor, type ReadExecutor, type Statement, statement } from "./statement.ts";
import type { StoreReads, StoreTransaction } from "./store.ts";
import { auditReads, auditRows } from "./tables/audit.ts";
import { companionReads, companionRows } from "./tables/companions.ts";
import { copyReads, copyRows } from "./tables/copy.ts";
import { counts } from "./tables/counters.ts";
import { dataKeyReads, dataKeyRows } from "./tables/data-keys.ts";
import { jobReads, jobRows } from "./tables/jobs.ts";
import { keyReads, keyRows } from "./tables/keys.ts";
import { keyslotsReads, keyslotsRows } from "./tables/keyslots.ts";
import { permitReads, permitRows } from "./tables/permits.ts";
import { policyReads, policyRows } from "./tables/policies.ts";
import { secretReads, secretRows } from "./tables/secrets.ts";
import { vaultReads, vaultRows } from "./tables/vault.ts";

/** Those who refer before those who are referred to. */
const EMPTY_ALL: readonly Statement<object, unknown>[] = [
  statement((q) => q.deleteFrom("audit_head")),
  statement((q) => q.deleteFrom("audit_log")),
  statement((q) => q.deleteFrom("companion_results")),
  statement((q) => q.deleteFrom("companions")),
  statement((q) => q.deleteFrom("jobs")),
  statement((q) => q.deleteFrom("keyslots")),
  statement((q) => q.deleteFrom("permits")),
  statement((q) => q.deleteFrom("policies")),
  statement((q) => q.deleteFrom("secret_versions")),
  statement((q) => q.deleteFrom("secrets")),
  statement((q) => q.deleteFrom("data_keys")),
  statement((q) => q.deleteFrom("key_versions")),
  statement((q) => q.deleteFrom("keys")),
  statement((q) => q.deleteFrom("vault")),
  statement((q) => q.updateTable("counters").set({ secrets: 0, keys: 0, data_keys: 0 })),
];

export const readsOf = (executor: ReadExecutor): StoreReads => ({
  vault: vaultReads(executor),
  keyslots: keyslotsReads(executor),
  keys: keyReads(executor),
  dataKeys: dataKeyReads(executor),
  secrets: secretReads(executor),
  companions: companionReads(executor),
  permits: permitReads(executor),
  policies: policyReads(executor),
  jobs: jobReads(executor),
  audit: auditReads(executor),
  copy: copyReads(executor),
  counts: () => counts(executor),
});

export const transactionOf = (executor: Executor): StoreTransaction => ({
  vault: vaultRows(executor),
  keyslots: keyslotsRows(executor),
  keys: keyRows(executor),
  dataKeys: dataKeyRows(executor),
  secrets: secretRows(executor),
  companions: companionRows(executor),
  permits: permitRows(executor),
  policies: policyRows(executor),
  jobs: jobRows(executor),
  audit: auditRows(executor),
  copy: copyRows(executor),
  counts: () => counts(executor),

  async reset() {
    for (const empty of EMPTY_ALL) await executor.run(empty, {});
  },
});

import type { Bytes } from "@lango/crypto-core";
import type { VaultRow } from "../rows.ts";
import { change, type Executor, type ReadExecutor, statement } from "../statement.ts";
import type { VaultReads, VaultRows } from "../store.ts";

const GET = statement((q) =>
  q
    .selectFrom("vault")
    .where("id", "=", 1)
    .select([
      "vault_id as vaultId",
      "format",
      "state",
      "created_at as createdAt",
      "slot_generation as slotGeneration",
      "slot_mac as slotMac",
      "pending_generation as pendingGeneration",
      "pending_mac as pendingMac",
      "audit_key as auditKey",
      "audit_epoch as auditEpoch",
      "mac",
    ]),
);

const columns = (p: VaultRow) => ({
  vault_id: p.vaultId,
  format: p.format,
  state: p.state,
  created_at: p.createdAt,
  slot_generation: p.slotGeneration,
  slot_mac: p.slotMac,
  pending_generation: p.pendingGeneration,
  pending_mac: p.pendingMac,
  audit_key: p.auditKey,
  audit_epoch: p.auditEpoch,
  mac: p.mac,
});

const INSERT = statement((q, p: VaultRow) =>
  q.insertInto("vault").values({ id: 1, ...columns(p) }),
);

const UPDATE = statement((q, p: VaultRow & { ifMac: Bytes }) =>
  q.updateTable("vault").set(columns(p)).where("id", "=", 1).where("mac", "=", p.ifMac),
);

export const vaultReads = (executor: ReadExecutor): VaultReads => ({
  get: () => executor.first(GET, {}),
});

export const vaultRows = (executor: Executor): VaultRows => ({
  ...vaultReads(executor),

  async insert(row) {
    await executor.run(INSERT, row);
  },

  update: (row, ifMac) => change(executor, UPDATE, { ...row, ifMac }, "The vault's row"),
});

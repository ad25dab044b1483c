import { CryptoError } from "@lango/crypto-core";
import type { CompanionPin, Slot } from "@lango/envelope";
import type { CompanionRow, StoreTransaction } from "@lango/store";
import type { RowChange } from "./audit/entry.ts";
import { changeOf, companionRemoved } from "./audit/row-hashes.ts";
import { createCompanionResults } from "./companion-results.ts";
import {
  alone,
  areInForce,
  type Changed,
  checkInForce,
  type SlotChange,
  slotsOfDevice,
  withSlotsOfDevice,
} from "./companion-slots.ts";
import type { CompanionInfo, Companions } from "./companion-types.ts";
import type { VaultContext } from "./context.ts";
import { auditFailure } from "./failures.ts";
import { slotSummary } from "./put-slots.ts";
import { checkRow, withMac } from "./rows.ts";
import type { SlotSummary } from "./slot-types.ts";
import type { SlotsOptions } from "./slots.ts";
import { reached } from "./stages.ts";

export const createCompanions = (options: SlotsOptions): Companions => {
  const { context, gate } = options;
  const { store, keys, log, clock } = context;

  const checked = (row: CompanionRow): CompanionRow => {
    checkRow(keys.rows, "companions", row);
    return row;
  };

  /** Runs a change in one transaction with its audit row, and with the slots of the device; failures are audited too. */
  const change = async <T>(
    action: string,
    id: string,
    run: (tx: StoreTransaction) => Promise<Changed<T>>,
    slots?: SlotChange,
  ): Promise<T> => {
    const entry = { action, target: id };
    try {
      if (!slots) return await alone(context, entry, run);
      const seen = await slotsOfDevice(options, slots.device);
      if (seen.slots.length > 0 || !(await areInForce(store, seen))) {
        return await withSlotsOfDevice(options, slots, entry, run);
      }
      reached("companion:looked");
      return await alone(context, entry, async (tx) => {
        await checkInForce(tx, seen);
        return run(tx);
      });
    } catch (error) {
      await auditFailure(log, entry, error);
      throw error;
    }
  };

  /** Changes one row; returns it as it is then. */
  const changeRow = (
    action: string,
    id: string,
    edit: (row: CompanionRow) => { row: Partial<CompanionRow>; detail: string } | undefined,
    slots?: SlotChange,
  ): Promise<CompanionInfo> =>
    change(
      action,
      id,
      async (tx) => {
        const row = checked((await tx.companions.find(id)) ?? notFound(id));
        const edited = edit(row);
        if (!edited) return { value: companionInfo(row), detail: "", rows: [] };
        const next = withMac(keys.rows, "companions", { ...row, ...edited.row });
        await tx.companions.update(next, row.mac);
        const rows = [changeOf("companions", next)];
        return { value: companionInfo(next), detail: edited.detail, rows };
      },
      slots,
    );

  return {
    list: () =>
      gate.run(async () =>
        (await store.companions.list()).map((row) => companionInfo(checked(row))),
      ),
    find: (fingerprint) =>
      gate.run(async () => {
        const row = await store.companions.findByFingerprint(fingerprint);
        return row && companionInfo(checked(row));
      }),
    add: ({ id, name, role, fingerprint }) =>
      gate.run(async () => {
        checkId(id);
        checkName(name);
        checkRole(role);
        checkFingerprint(fingerprint);
        const detail = `${role} ${name} ${fingerprint}`;
        const pair = async (tx: StoreTransaction): Promise<Changed<CompanionInfo>> => {
          const columns = {
            id,
            name,
            role,
            fingerprint,
            state: "active",
            pairedAt: clock(),
          } as const;
          const row = withMac(keys.rows, "companions", columns);
          const rows: RowChange[] = [];
          const before = await tx.companions.findByFingerprint(fingerprint);
          if (before) {
            await tx.companions.remove(before.id, before.mac);
            rows.push(companionRemoved(before.id));
          }
          await tx.companions.insert(row);
          return {
            value: companionInfo(row),
            detail,
            rows: [...rows, changeOf("companions", row)],
          };
        };
        // Paired again: what its key opens, it still opens.
        const device = { id, fingerprint };
        return change("companion.pair", id, pair, { device, detail, become: pinned(device) });
      }),
    rename: (id, name) =>
      gate.run(async () => {
        checkName(name);
        return changeRow("companion.rename", id, () => ({ row: { name }, detail: name }));
      }),
    revoke: (id) =>
      gate.run(async () => {
        const device = await store.companions.find(id);
        const gone: SlotSummary[] = [];
        const remove = async (tx: StoreTransaction): Promise<Changed<void>> => {
          // Its MAC does not matter: a damaged pin must be revocable too.
          const row = (await tx.companions.find(id)) ?? notFound(id);
          await tx.companions.remove(id, row.mac);
          return { value: undefined, detail: row.name, rows: [companionRemoved(id)] };
        };
        const become = (slot: Slot): undefined => {
          gone.push(slotSummary(slot));
        };
        const slots = device && { device, detail: device.name, become };
        await change("companion.revoke", id, remove, slots);
        return gone;
      }),
    confirm: (id) =>
      gate.run(() =>
        changeRow("companion.confirm", id, (row) =>
          row.state === "active" ? undefined : { row: { state: "active" }, detail: row.name },
        ),
      ),
    replacePin: (id, fingerprint) =>
      gate.run(async () => {
        checkFingerprint(fingerprint);
        const device = await store.companions.find(id);
        const become = pinned({ id, fingerprint });
        const edit = (row: CompanionRow) => {
          if (row.state !== "active") throw suspended(row);
          if (row.fingerprint === fingerprint) return undefined;
          return { row: { fingerprint }, detail: fingerprint };
        };
        await changeRow(
          "companion.rollover",
          id,
          edit,
          device && { device, detail: fingerprint, become },
        );
      }),
    results: createCompanionResults(context, gate),
  };
};

const pinned =
  (companion: CompanionPin) =>
  (slot: Slot): Slot => ({ ...slot, companion });

/** Suspends every device, in the transaction that takes an older database into use. */
export const suspendCompanions = async (
  { keys }: Pick<VaultContext, "keys">,
  tx: StoreTransaction,
): Promise<RowChange[]> => {
  const changes: RowChange[] = [];
  for (const row of await tx.companions.list()) {
    if (row.state === "suspended") continue;
    checkRow(keys.rows, "companions", row);
    const next = withMac(keys.rows, "companions", { ...row, state: "suspended" });
    await tx.companions.update(next, row.mac);
    changes.push(changeOf("companions", next));
  }
  return changes;
};

export const companionInfo = ({
  id,
  name,
  role,
  fingerprint,
  state,
  pairedAt,
}: CompanionRow): CompanionInfo => ({ id, name, role, fingerprint, state, pairedAt });

const notFound = (id: string): never => {
  throw new CryptoError("ERR_NOT_FOUND", `There is no paired device ${id}`, {
    context: { hint: "lango companion list shows those that there are" },
  });
};

const suspended = ({ name }: CompanionRow): CryptoError =>
  new CryptoError("ERR_ACCESS_DENIED", `${name} is suspended since the database was restored`, {
    context: { hint: "Confirm it, or revoke it: lango companion confirm, lango companion revoke" },
  });

const checkText = (what: string, value: unknown, pattern: RegExp): void => {
  if (typeof value === "string" && pattern.test(value)) return;
  throw new CryptoError("ERR_INVALID_ARGUMENT", `This is no ${what} of a device`);
};
const checkId = (id: unknown): void => checkText("id", id, /^[\w-]{22}$/);
const checkFingerprint = (value: unknown): void => checkText("fingerprint", value, /^[\w-]{43}$/);
const checkRole = (role: unknown): void => checkText("role", role, /^(?:agent|companion)$/);
/** Shown in terminals and lists; whoever receives a name from elsewhere cleans it first. */
const checkName = (name: unknown): void => checkText("name", name, /^[^\p{C}\p{Zl}\p{Zp}]{1,64}$/u);

import { CryptoError } from "@lango/crypto-core";
import type { CompanionRow, StoreTransaction } from "@lango/store";
import type { RowChange } from "./audit/entry.ts";
import { changeOf, companionRemoved } from "./audit/row-hashes.ts";
import { createCompanionResults } from "./companion-results.ts";
import type { CompanionInfo, Companions } from "./companion-types.ts";
import type { VaultContext } from "./context.ts";
import { auditFailure } from "./failures.ts";
import type { Gate } from "./gate.ts";
import { checkRow, withMac } from "./rows.ts";

export const createCompanions = (context: VaultContext, gate: Gate): Companions => {
  const { store, keys, log, clock } = context;

  const checked = (row: CompanionRow): CompanionRow => {
    checkRow(keys.rows, "companions", row);
    return row;
  };

  /** Runs a change in one transaction with its audit row; failures are audited too. */
  const change = async <T>(
    action: string,
    id: string,
    run: (tx: StoreTransaction, record: Recorder) => Promise<T>,
  ): Promise<T> => {
    try {
      return await store.transaction("full", (tx) =>
        run(tx, async (detail, rows) => {
          await log.appendIn(tx, { action, target: id, detail, rows });
        }),
      );
    } catch (error) {
      await auditFailure(log, { action, target: id }, error);
      throw error;
    }
  };

  /** Changes one row; returns it as it is then. */
  const changeRow = (
    action: string,
    id: string,
    edit: (row: CompanionRow) => { row: Partial<CompanionRow>; detail: string } | undefined,
  ): Promise<CompanionInfo> =>
    change(action, id, async (tx, record) => {
      const row = checked((await tx.companions.find(id)) ?? notFound(id));
      const edited = edit(row);
      if (!edited) return companionInfo(row);
      const next = withMac(keys.rows, "companions", { ...row, ...edited.row });
      await tx.companions.update(next, row.mac);
      await record(edited.detail, [changeOf("companions", next)]);
      return companionInfo(next);
    });

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
        return change("companion.pair", id, async (tx, record) => {
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
          await record(`${role} ${name} ${fingerprint}`, [...rows, changeOf("companions", row)]);
          return companionInfo(row);
        });
      }),
    rename: (id, name) =>
      gate.run(async () => {
        checkName(name);
        return changeRow("companion.rename", id, () => ({ row: { name }, detail: name }));
      }),
    revoke: (id) =>
      gate.run(() =>
        change("companion.revoke", id, async (tx, record) => {
          // Its MAC does not matter: a damaged pin must be revocable too.
          const row = (await tx.companions.find(id)) ?? notFound(id);
          await tx.companions.remove(id, row.mac);
          await record(row.name, [companionRemoved(id)]);
        }),
      ),
    confirm: (id) =>
      gate.run(() =>
        changeRow("companion.confirm", id, (row) =>
          row.state === "active" ? undefined : { row: { state: "active" }, detail: row.name },
        ),
      ),
    replacePin: (id, fingerprint) =>
      gate.run(async () => {
        checkFingerprint(fingerprint);
        await changeRow("companion.rollover", id, (row) => {
          if (row.state !== "active") throw suspended(row);
          if (row.fingerprint === fingerprint) return undefined;
          return { row: { fingerprint }, detail: fingerprint };
        });
      }),
    results: createCompanionResults(context, gate),
  };
};

type Recorder = (detail: string, rows: readonly RowChange[]) => Promise<void>;

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

import { CryptoError } from "@lango/crypto-core";
import type { StoreReads } from "@lango/store";
import type { AuditReport } from "../types.ts";
import type { AuditKey } from "./chain.ts";
import { newWalk, walkChain } from "./chain-walk.ts";
import type { RowChange } from "./entry.ts";
import type { AuditLog } from "./log.ts";
import { createNewestHashes } from "./newest-hashes.ts";

/** What the log says of the rows that steer security. Values, which it does not judge, have many more rows. */
export interface RowWitness {
  /**
   * Takes in what the chain has got since. In a writing transaction, which is alone, it then knows all there is.
   *
   * @throws {@link CryptoError} `ERR_INTEGRITY` when the chain is not sound: it vouches for nothing then.
   */
  follow(reads: Pick<StoreReads, "audit">): Promise<void>;
  /** Whether the newest entry about the row says that it is as it is. */
  vouchesFor(row: RowChange): boolean;
}

export const createRowWitness = (auditKey: AuditKey): RowWitness => {
  const walk = newWalk();
  const newest = createNewestHashes();
  return {
    async follow(reads) {
      await walkChain(reads, auditKey, walk, {
        onEntry(seq, { rows = [] }) {
          for (const [table, row, hash] of rows) {
            if (table !== "secret_versions") newest.set(`${table} ${row}`, hash, seq);
          }
        },
      });
      const [fault] = walk.faults;
      if (fault) throw notVouched(`The log is not sound: ${fault.problem}`);
    },
    vouchesFor: ([table, row, hash]) => newest.has(`${table} ${row}`, hash),
  };
};

/** Rows that are named; the others are counted. */
const MAX_NAMED = 10;

/** @param rows - Not as the log says, though their MACs are sound. */
export const forgedRows = (rows: readonly RowChange[]): CryptoError => {
  const named = rows.slice(0, MAX_NAMED).map(([table, row]) => `row ${row} of table ${table}`);
  const more = rows.length > MAX_NAMED ? `, and ${rows.length - MAX_NAMED} more` : "";
  return notVouched(`Under the former key and not as the log says: ${named.join(", ")}${more}`);
};

const notVouched = (message: string): CryptoError =>
  new CryptoError("ERR_INTEGRITY", message, {
    context: {
      hint: `Whoever had the former key may have written that. ${WAY_ON}, then: lango security rotate --resume`,
    },
  });

const WAY_ON =
  "Look: lango audit verify --rows; delete those secrets and set them again, or take all as it is with --accept-faults";

/**
 * Comes before work that puts all rows or values under new keys: what somebody forged would go under them too.
 *
 * @throws {@link CryptoError} `ERR_INTEGRITY`, unless faults are accepted: then a row of the log names them.
 */
export const checkVouched = async (
  { ok, faults }: AuditReport,
  log: Pick<AuditLog, "commit">,
  action: string,
  acceptFaults: boolean,
): Promise<void> => {
  if (ok) return;
  const named = faults.slice(0, MAX_NAMED).map(({ problem }) => problem);
  const more = faults.length > MAX_NAMED ? `; and ${faults.length - MAX_NAMED} more` : "";
  const found = `${named.join("; ")}${more}`;
  if (acceptFaults) {
    await log.commit("full", { action, detail: `faults that were accepted: ${found}` });
    return;
  }
  throw new CryptoError("ERR_INTEGRITY", `The log does not vouch for all rows: ${found}`, {
    context: { hint: WAY_ON },
  });
};

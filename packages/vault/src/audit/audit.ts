import { CryptoError, ERROR_CODES, toBase64 } from "@lango/crypto-core";
import type { StoreReads } from "@lango/store";
import type { VaultContext } from "../context.ts";
import type { Gate } from "../gate.ts";
import type { HomePaths } from "../keyslots-file.ts";
import { isSound } from "../rows.ts";
import type { Audit, AuditEvent, AuditInput } from "../types.ts";
import type { Anchorer } from "./anchorer.ts";
import { type AuditKey, isOurs } from "./chain.ts";
import { decodeEntry, eventsOf } from "./entry.ts";
import { readRecords } from "./records.ts";
import { verifyChain } from "./verify.ts";

export interface AuditOptions {
  readonly context: VaultContext;
  readonly paths: HomePaths;
  readonly auditKey: AuditKey;
  readonly anchorer: Pick<Anchorer, "status"> | undefined;
  readonly gate: Gate;
}

export const createAudit = ({ context, paths, auditKey, anchorer, gate }: AuditOptions): Audit => ({
  append: (event) =>
    gate.run(async () => {
      checkInput(event);
      const { action, target, outcome, code, detail, audience, durability = "full" } = event;
      const entry = { action, target, outcome, code, detail, audience };
      return { seq: await context.log.commit(durability, entry) };
    }),
  verify: (options) =>
    gate.run(async () =>
      verifyChain({
        ...options,
        ...{ store: context.store, paths, vaultId: context.vaultId, auditKey },
        registryKeys: await publicKeys(context),
        anchorProblem: anchorer?.status().problem,
      }),
    ),
  tail: (count) => gate.run(() => readTail(context.store, count)),
  findLast: (action) => gate.run(() => findLast(context.store, action)),
  records: (options) => readRecords(context.store, options),
  read: (seq) =>
    gate.run(async () => {
      const [row] = await context.store.audit.page(seq, 1);
      const entry = row?.seq === seq && isOurs(row, auditKey) ? decodeEntry(row.entry) : undefined;
      return entry && eventsOf(seq, entry)[0];
    }),
});

/** The public keys of all versions of all keys. Rows that were changed are left out: `verify` with `rows` names them. */
const publicKeys = async ({ store, keys }: VaultContext): Promise<Set<string>> => {
  const known = new Set<string>();
  for (const key of await store.keys.list()) {
    if (isSound(keys.rows, "keys", key) && key.publicKey) known.add(toBase64(key.publicKey));
    for (const version of await store.keys.listVersions(key.id)) {
      if (!isSound(keys.rows, "key_versions", version) || !version.publicKey) continue;
      known.add(toBase64(version.publicKey));
    }
  }
  return known;
};

const DEFAULT_TAIL = 50;
const MAX_TAIL = 1000;

/** The newest events, oldest first. */
export const readTail = async (
  store: Pick<StoreReads, "audit">,
  count: number = DEFAULT_TAIL,
): Promise<AuditEvent[]> => {
  if (!Number.isInteger(count) || count < 1 || count > MAX_TAIL) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", "The number of events is 1 to 1000");
  }
  const rows = await store.audit.tail(count);
  const events = rows.flatMap(({ seq, entry }) => {
    const decoded = decodeEntry(entry);
    if (decoded) return eventsOf(seq, decoded);
    throw new CryptoError("ERR_INTEGRITY", `Row ${seq} of the log cannot be read`, {
      context: { hint: "lango audit verify shows every fault" },
    });
  });
  return events.slice(-count);
};

/** Rows that are read at a time, and how far back at most. */
const PAGE = 1000;
const MAX_LOOKED_AT = 100_000;

/** The newest success of an action among the newest 100,000 rows. */
export const findLast = async (
  store: Pick<StoreReads, "audit">,
  action: string,
): Promise<AuditEvent | undefined> => {
  const [newest] = await store.audit.tail(1);
  const head = newest?.seq ?? 0;
  for (let end = head; end > 0 && end > head - MAX_LOOKED_AT; end -= PAGE) {
    const start = Math.max(1, end - PAGE + 1);
    const rows = await store.audit.page(start, end - start + 1);
    const events = rows.flatMap(({ seq, entry }) => {
      const decoded = decodeEntry(entry);
      return decoded ? eventsOf(seq, decoded) : [];
    });
    const found = events.findLast((each) => each.action === action && each.outcome === "success");
    if (found) return found;
  }
  return undefined;
};

const ACTION = /^[A-Za-z0-9.-]{1,64}$/;
const MAX_TEXT_LENGTH = 1024;

// Other parts of Lango report here what agents and people sent them.
const checkInput = (event: AuditInput): void => {
  const { action, target, detail, outcome = "success", audience = "owner", code } = event;
  const known =
    ["success", "failure"].includes(outcome) &&
    ["owner", "agent"].includes(audience) &&
    (code === undefined || Object.hasOwn(ERROR_CODES, code));
  if (!known) throw new CryptoError("ERR_INVALID_ARGUMENT", "The event is no AuditInput");
  if (typeof action !== "string" || !ACTION.test(action)) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", "An action is 1 to 64 of [A-Za-z0-9.-]");
  }
  for (const [what, text] of Object.entries({ target, detail })) {
    if (text === undefined) continue;
    if (typeof text !== "string" || text.length > MAX_TEXT_LENGTH || !text.isWellFormed()) {
      const message = `The ${what} of an event is valid text of at most ${MAX_TEXT_LENGTH} characters`;
      throw new CryptoError("ERR_INVALID_ARGUMENT", message);
    }
  }
};

import { CryptoError, randomBytesFresh, toHex } from "@lango/crypto-core";
import type { PermitRow } from "@lango/store";
import type { GrantInfo, Grants, NewGrant } from "../approval-types.ts";
import type { NewEntry } from "../audit/log.ts";
import type { VaultContext } from "../context.ts";
import { auditFailure } from "../failures.ts";
import type { Gate } from "../gate.ts";
import { checkText } from "./about.ts";
import { addIn, checkPermits, revoke, useIn, whyNot } from "./permits.ts";
import { acceptedTerms, readTerms, termsOf } from "./terms.ts";

const MINUTE_MS = 60_000;
const MAX_MINUTES = 30 * 24 * 60;

export const createGrants = (context: VaultContext, gate: Gate): Grants => {
  const { store, keys, log, clock } = context;

  /** A row that was changed is refused, and that it was is in the log. */
  const audited = async <T>(action: string, run: () => Promise<T>): Promise<T> => {
    try {
      return await run();
    } catch (error) {
      await auditFailure(log, { action }, error);
      throw error;
    }
  };

  return {
    add: (grant) =>
      gate.run(async () => {
        checkGrant(grant);
        const createdAt = clock();
        const permit = {
          id: toHex(randomBytesFresh(12)),
          kind: "grant" as const,
          subject: grant.action.tool,
          terms: termsOf(keys.approvals, grant),
          dangerous: grant.dangerous,
          approvedBy: grant.by,
          createdAt,
          expiresAt: createdAt + grant.minutes * MINUTE_MS,
          maxUses: grant.maxUses ?? null,
        };
        const entry = entryOf("grant.add", permit);
        return infoOf(await store.transaction("full", (tx) => addIn(tx, context, permit, entry)));
      }),

    list: () =>
      gate.run(() =>
        audited("grant.list", async () =>
          checkPermits(context, await store.permits.list("grant"))
            .filter((row) => whyNot(row, clock()) === undefined)
            .map(infoOf),
        ),
      ),

    revoke: (id) => gate.run(() => audited("grant.revoke", () => revoke(context, "grant", id))),

    match: (query) =>
      gate.run(() =>
        audited("grant.use", async () => {
          const accepted = acceptedTerms(keys.approvals, query);
          const holds = (row: PermitRow): boolean =>
            accepted.has(row.terms) &&
            (row.dangerous || !query.dangerous) &&
            whyNot(row, clock()) === undefined;
          const find = (rows: readonly PermitRow[]): PermitRow | undefined =>
            checkPermits(context, rows).find(holds);
          const { tool } = query.action;
          // Most actions have none, which is known without a transaction.
          if (!find(await store.permits.listFor("grant", tool))) return undefined;
          return store.transaction("full", async (tx) => {
            const row = find(await tx.permits.listFor("grant", tool));
            if (!row) return undefined;
            const entry: NewEntry = { ...entryOf("grant.use", row), audience: "agent" };
            return infoOf(await useIn(tx, context, row, entry));
          });
        }),
      ),
  };
};

const entryOf = (action: string, row: Pick<PermitRow, "id" | "terms" | "approvedBy">): NewEntry => {
  const { scope, tool, session, secret, destination, binary } = readTerms(row.terms);
  const about = { tool, scope, session, secret, destination, binary, by: row.approvedBy };
  return { action, target: row.id, about };
};

const infoOf = (row: PermitRow): GrantInfo => ({
  ...readTerms(row.terms),
  id: row.id,
  dangerous: row.dangerous,
  by: row.approvedBy,
  createdAt: row.createdAt,
  expiresAt: row.expiresAt,
  uses: row.uses,
  ...(row.maxUses === null ? {} : { maxUses: row.maxUses }),
  ...(row.lastUsedAt === null ? {} : { lastUsedAt: row.lastUsedAt }),
});

const checkGrant = ({ action, by, minutes, maxUses = 1 }: NewGrant): void => {
  checkText("tool", action.tool);
  checkText("session", action.session);
  checkText("name of who approves", by);
  if (!Number.isSafeInteger(minutes) || minutes < 1 || minutes > MAX_MINUTES) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", `A grant lasts 1 to ${MAX_MINUTES} minutes`);
  }
  if (!Number.isSafeInteger(maxUses) || maxUses < 1) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", "A number of uses is an integer from 1");
  }
};

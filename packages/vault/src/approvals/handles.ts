import {
  CryptoError,
  fromHex,
  isCryptoError,
  randomBytesFresh,
  toHex,
  zero,
} from "@lango/crypto-core";
import { jcs } from "@lango/envelope";
import type { PermitRow } from "@lango/store";
import type { Handles, HandleUse, NewHandle } from "../approval-types.ts";
import type { NewEntry } from "../audit/log.ts";
import type { VaultContext } from "../context.ts";
import { auditFailure } from "../failures.ts";
import type { Gate } from "../gate.ts";
import { checkAudience, checkSecretName, isHiddenFrom } from "../names.ts";
import { checkRow, sha256Hex } from "../rows.ts";
import type { SecretReader } from "../secret-read.ts";
import type { Audience } from "../types.ts";
import { checkText } from "./about.ts";
import { addIn, checkPermits, revoke, useIn, whyNot } from "./permits.ts";

const HANDLE_BYTES = 16;
const MINUTE_MS = 60_000;
const MAX_MINUTES = 24 * 60;
const MAX_USES = 1000;

export const createHandles = (context: VaultContext, reader: SecretReader, gate: Gate): Handles => {
  const { store, keys, log, clock, counters } = context;

  /** @throws {@link CryptoError} with the reason, which is for the log only. */
  const judge = (row: PermitRow | undefined, use: HandleUse): PermitRow => {
    if (row?.kind !== "handle") throw refusal("there is no such handle");
    checkRow(keys.rows, "permits", row);
    if (row.terms !== termsOf(use)) throw refusal("it is for another use");
    const reason = whyNot(row, clock());
    if (reason !== undefined) throw refusal(reason);
    return row;
  };

  const readVisible = async (name: string, audience: Audience | undefined) => {
    if (isHiddenFrom(audience, name)) throw refusal("agents cannot use this name");
    return reader.read(name, undefined);
  };

  /** Whatever is wrong is one error for the caller; the log has the reason. */
  const asOneError = async <T>(
    use: HandleUse,
    audience: Audience | undefined,
    run: () => Promise<T>,
  ): Promise<T> => {
    try {
      return await run();
    } catch (error) {
      const isNo =
        isCryptoError(error) && (error.code === "ERR_DENIED" || error.code === "ERR_NOT_FOUND");
      const told = isNo ? refused(error) : error;
      const target = isNo && error.code === "ERR_NOT_FOUND" ? undefined : use.secret;
      await auditFailure(log, { action: "handle.refuse", target, audience }, told);
      throw told;
    }
  };

  return {
    issue: ({ uses = 1, minutes = 10, by = "policy", audience, ...use }) =>
      gate.run(async () => {
        checkUse(use, audience);
        checkIssue({ uses, minutes, by });
        return asOneError(use, audience, async () => {
          if (isHiddenFrom(audience, use.secret)) throw refusal("agents cannot use this name");
          await reader.describe(use.secret);
          const handle = toHex(randomBytesFresh(HANDLE_BYTES));
          const createdAt = clock();
          const permit = {
            id: idOf(handle),
            kind: "handle" as const,
            subject: use.secret,
            terms: termsOf(use),
            dangerous: false,
            approvedBy: by,
            createdAt,
            expiresAt: createdAt + minutes * MINUTE_MS,
            maxUses: uses,
          };
          const entry = entryOf("handle.issue", use, audience, by);
          await store.transaction("full", (tx) => addIn(tx, context, permit, entry));
          return { handle, expiresAt: permit.expiresAt };
        });
      }),

    list: () =>
      gate.run(async () =>
        checkPermits(context, await store.permits.list("handle"))
          .filter((row) => whyNot(row, clock()) === undefined)
          .map(({ id, terms, approvedBy, createdAt, expiresAt, maxUses, uses }) => ({
            ...(JSON.parse(terms) as HandleUse),
            ...{ id, by: approvedBy, createdAt, expiresAt, uses, maxUses: maxUses ?? MAX_USES },
          })),
      ),

    revoke: (id) => gate.run(() => revoke(context, "handle", id)),

    check: (handle, { audience, ...use }) =>
      gate.run(async () => {
        checkUse(use, audience);
        try {
          judge(await store.permits.find(idOf(handle)), use);
          if (isHiddenFrom(audience, use.secret)) return false;
          await reader.describe(use.secret);
          return true;
        } catch (error) {
          if (
            isCryptoError(error) &&
            (error.code === "ERR_DENIED" || error.code === "ERR_NOT_FOUND")
          )
            return false;
          throw error;
        }
      }),

    consume: (handle, { audience, ...use }) =>
      gate.run(async () => {
        checkUse(use, audience);
        const id = idOf(handle);
        return asOneError(use, audience, async () => {
          // Before the value is opened, and again in the transaction.
          judge(await store.permits.find(id), use);
          const { row, version, value } = await readVisible(use.secret, audience);
          try {
            await store.transaction("full", async (tx) => {
              const permit = judge(await tx.permits.find(id), use);
              const entry = entryOf("handle.use", use, audience, permit.approvedBy);
              await useIn(tx, context, permit, { ...entry, version });
            });
          } catch (error) {
            zero(value);
            throw error;
          }
          counters.note({ secretId: row.id, keyId: row.keyId });
          return { name: use.secret, version, value };
        });
      }),
  };
};

/** What is stored is a hash: whoever reads the database has no handle. */
const idOf = (handle: string): string => {
  const bytes = fromHex(handle);
  return bytes?.length === HANDLE_BYTES ? sha256Hex(bytes) : "";
};

const termsOf = ({ secret, session, tool, destination }: HandleUse): string =>
  jcs({ secret, session, tool, destination });

const entryOf = (
  action: string,
  { secret, session, tool, destination }: HandleUse,
  audience: Audience | undefined,
  by: string,
): NewEntry => ({
  action,
  target: secret,
  audience,
  about: { session, tool, destination, by },
});

const checkUse = (use: HandleUse, audience: Audience | undefined): void => {
  checkSecretName(use.secret);
  checkAudience(audience);
  checkText("session", use.session);
  checkText("tool", use.tool);
  checkText("destination", use.destination);
};

const checkIssue = ({
  uses,
  minutes,
  by,
}: Required<Pick<NewHandle, "uses" | "minutes" | "by">>): void => {
  checkText("name of who approves", by);
  for (const [what, value, most] of [
    ["number of uses", uses, MAX_USES],
    ["number of minutes", minutes, MAX_MINUTES],
  ] as const) {
    if (Number.isSafeInteger(value) && value !== undefined && value >= 1 && value <= most) continue;
    throw new CryptoError("ERR_INVALID_ARGUMENT", `The ${what} is 1 to ${most}`);
  }
};

const refusal = (reason: string): CryptoError => new CryptoError("ERR_DENIED", reason);

/** The reason is the `cause`, which goes into the log and no further. */
const refused = (cause: CryptoError): CryptoError =>
  new CryptoError("ERR_DENIED", "The handle may not be used here", { cause });

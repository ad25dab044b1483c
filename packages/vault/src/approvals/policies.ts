import { CryptoError } from "@lango/crypto-core";
import { type JsonValue, jcs } from "@lango/envelope";
import type { StoreReads } from "@lango/store";
import type { ApprovalPolicies, ApprovalPolicy, Approver } from "../approval-types.ts";
import { changeOf } from "../audit/row-hashes.ts";
import type { VaultContext } from "../context.ts";
import { auditFailure } from "../failures.ts";
import type { Gate } from "../gate.ts";
import { checkRow, withMac } from "../rows.ts";
import { checkText } from "./about.ts";
import type { CheckApprover } from "./approver.ts";

const SUBJECT = "approvals";

/** From the loosest to the strictest. */
const STRICTNESS: readonly ApprovalPolicy["approvalPolicy"][] = [
  "none",
  "configured",
  "dangerous",
  "all",
];

const DEFAULT_POLICY: ApprovalPolicy = {
  enabled: true,
  approvalPolicy: "dangerous",
  sensitiveTools: [],
  exemptTools: [],
};

export const createPolicies = (
  context: VaultContext,
  checkApprover: CheckApprover,
  gate: Gate,
): ApprovalPolicies => ({
  get: () =>
    gate.run(async () => (await readPolicy<ApprovalPolicy>(context, SUBJECT)) ?? DEFAULT_POLICY),

  set: (policy, { approver } = {}) =>
    gate.run(async () => {
      checkPolicy(policy);
      const { enabled, approvalPolicy, sensitiveTools, exemptTools } = policy;
      const next = { enabled, approvalPolicy, sensitiveTools, exemptTools };
      await changePolicy<ApprovalPolicy>(context, SUBJECT, next, (old = DEFAULT_POLICY) =>
        loosens(old, next) ? checkApprover(approver) : approver,
      );
    }),
});

/** The content of a policy, once its MAC was found right. */
export const readPolicy = async <T>(
  {
    store,
    keys,
  }: { readonly store: Pick<StoreReads, "policies">; readonly keys: VaultContext["keys"] },
  subject: string,
): Promise<T | undefined> => {
  const row = await store.policies.find(subject);
  if (!row) return undefined;
  checkRow(keys.rows, "policies", row);
  return JSON.parse(row.content) as T;
};

/**
 * Replaces a policy, with a row of the log that shows it.
 *
 * @param judge - Sees the policy before, throws when the change may not be, and returns who is behind it.
 */
export const changePolicy = async <T>(
  context: VaultContext,
  subject: string,
  next: T,
  judge: (old: T | undefined) => Approver | undefined,
): Promise<void> => {
  const { store, keys, log, clock } = context;
  const content = jcs(next as JsonValue);
  try {
    await store.transaction("full", async (tx) => {
      const by = judge(await readPolicy<T>({ store: tx, keys }, subject))?.by;
      const row = withMac(keys.rows, "policies", { subject, content, updatedAt: clock() });
      await tx.policies.put(row);
      const rows = [changeOf("policies", row)];
      const about = { content, by };
      await log.appendIn(tx, { action: "policy.change", target: subject, rows, about });
    });
  } catch (error) {
    await auditFailure(log, { action: "policy.change", target: subject }, error);
    throw error;
  }
};

const loosens = (old: ApprovalPolicy, next: ApprovalPolicy): boolean =>
  (old.enabled && !next.enabled) ||
  STRICTNESS.indexOf(next.approvalPolicy) < STRICTNESS.indexOf(old.approvalPolicy) ||
  old.sensitiveTools.some((tool) => !next.sensitiveTools.includes(tool)) ||
  next.exemptTools.some((tool) => !old.exemptTools.includes(tool));

const checkPolicy = ({
  enabled,
  approvalPolicy,
  sensitiveTools,
  exemptTools,
}: ApprovalPolicy): void => {
  if (typeof enabled !== "boolean" || !STRICTNESS.includes(approvalPolicy)) {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      `An approval policy is one of ${STRICTNESS.join(", ")}`,
    );
  }
  for (const tools of [sensitiveTools, exemptTools]) {
    checkList("list of tools", tools);
  }
};

const MAX_ENTRIES = 1000;

/** @throws {@link CryptoError} `ERR_INVALID_ARGUMENT`. */
export const checkList = (what: string, list: readonly string[]): void => {
  if (!Array.isArray(list) || list.length > MAX_ENTRIES) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", `A ${what} has at most ${MAX_ENTRIES} entries`);
  }
  for (const entry of list) checkText(`entry of a ${what}`, entry);
};

import { createHash, createHmac } from "node:crypto";
import { type Bytes, CryptoError, toHex, toPlain, utf8 } from "@lango/crypto-core";
import { jcs, parts } from "@lango/envelope";
import type { ApprovalEvent, Approvals } from "../approval-types.ts";
import { readTail } from "../audit/audit.ts";
import type { NewEntry } from "../audit/log.ts";
import type { VaultContext } from "../context.ts";
import type { Gate } from "../gate.ts";
import type { HomePaths } from "../keyslots-file.ts";
import type { SecretReader } from "../secret-read.ts";
import { createApprovers } from "./approver.ts";
import { createDestinations } from "./destinations.ts";
import { createGrants } from "./grants.ts";
import { createHandles } from "./handles.ts";
import { createPolicies } from "./policies.ts";

export interface ApprovalsOptions {
  readonly context: VaultContext;
  readonly paths: HomePaths;
  /** Zeroed by whoever closes the vault. */
  readonly vaultKey: Bytes;
  readonly reader: SecretReader;
  readonly gate: Gate;
}

const COMMITMENT = utf8("lango/v1/commitment");
const MAX_HISTORY = 1000;

export const createApprovals = (options: ApprovalsOptions): Approvals => {
  const { context, paths, vaultKey, reader, gate } = options;
  const approvers = createApprovers(context, paths, vaultKey, gate);
  return {
    commit(request) {
      gate.check();
      const message = parts(COMMITMENT, utf8(jcs(request)));
      return toPlain(createHmac("sha256", context.keys.approvals).update(message).digest());
    },

    record: (event) =>
      gate.run(async () => {
        // A request changes nothing, and what is decided about it is committed in full with everything before it.
        const durability = event.kind === "request" ? "normal" : "full";
        await context.log.commit(durability, entryOf(event));
      }),

    history: (count = 20) =>
      gate.run(async () => {
        if (!Number.isInteger(count) || count < 1 || count > MAX_HISTORY) {
          throw new CryptoError("ERR_INVALID_ARGUMENT", "The number of events is 1 to 1000");
        }
        const events = await readTail(context.store, MAX_HISTORY);
        return events.filter(({ action }) => /^(approval|grant)\./.test(action)).slice(-count);
      }),

    approver: approvers.approver,
    grants: createGrants(context, gate),
    policy: createPolicies(context, approvers.check, gate),
    destinations: createDestinations(context, approvers.check, gate),
    handles: createHandles(context, reader, gate),
  };
};

const OUTCOMES = {
  request: {},
  approve: {},
  deny: { outcome: "failure", code: "ERR_DENIED" },
  expire: { outcome: "failure", code: "ERR_APPROVAL_TIMEOUT" },
} as const satisfies Record<ApprovalEvent["kind"], Partial<NewEntry>>;

const entryOf = ({ kind, request, via, by, reason, evidence }: ApprovalEvent): NewEntry => {
  const { id, commitment, session, tool, secret, destination } = request;
  return {
    action: `approval.${kind}`,
    target: id,
    detail: reason,
    audience: kind === "request" ? "agent" : "owner",
    ...OUTCOMES[kind],
    about: {
      ...{ tool, session, secret, destination, via, by },
      commitment: kind === "request" ? toHex(commitment) : undefined,
      evidence: evidence && createHash("sha256").update(evidence).digest("hex"),
    },
  };
};

import type { AuditRecord } from "@lango/vault";
import { scopeOf } from "./audit-jsonl.ts";

/** The version of the schema that the events are of (https://schema.ocsf.io/1.6.0/classes/entity_management). */
export const OCSF_VERSION = "1.6.0";

const CLASS_UID = 3004;
const OTHER = 99;

/** The activities of the class, by the verb of the action; another verb is `Other`. */
const ACTIVITIES: Readonly<Record<string, readonly [id: number, name: string]>> = {
  create: [1, "Create"],
  add: [1, "Create"],
  issue: [1, "Create"],
  pair: [1, "Create"],
  register: [1, "Create"],
  get: [2, "Read"],
  list: [2, "Read"],
  load: [2, "Read"],
  history: [2, "Read"],
  inject: [2, "Read"],
  use: [2, "Read"],
  unlock: [2, "Read"],
  set: [3, "Update"],
  change: [3, "Update"],
  configure: [3, "Update"],
  migrate: [3, "Update"],
  rename: [3, "Update"],
  restore: [3, "Update"],
  rewrap: [3, "Update"],
  rollback: [3, "Update"],
  rotate: [3, "Update"],
  delete: [4, "Delete"],
  remove: [4, "Delete"],
  revoke: [4, "Delete"],
};

/** The vault that the log is of, and the lango that writes the events. */
export interface OcsfSource {
  readonly vaultId: string;
  readonly lango: string;
}

/** An event as a line of JSON, without its line break: Entity Management of OCSF, class 3004. */
export const toOcsf = (record: AuditRecord, { vaultId, lango }: OcsfSource): string => {
  const { actor, action, target, version, outcome, code, detail, about, seq, part, hash } = record;
  const scope = scopeOf(action);
  const [activityId, activity] = ACTIVITIES[action.slice(scope.length + 1)] ?? [OTHER, action];
  const isSuccess = outcome === "success";
  return JSON.stringify({
    category_uid: 3,
    category_name: "Identity & Access Management",
    class_uid: CLASS_UID,
    class_name: "Entity Management",
    activity_id: activityId,
    activity_name: activity,
    type_uid: CLASS_UID * 100 + activityId,
    type_name: `Entity Management: ${activity}`,
    time: record.ts,
    severity_id: isSuccess ? 1 : 2,
    severity: isSuccess ? "Informational" : "Low",
    status_id: isSuccess ? 1 : 2,
    status: isSuccess ? "Success" : "Failure",
    ...(code === undefined ? {} : { status_code: code }),
    ...(detail === undefined ? {} : { message: detail }),
    actor: {
      user: {
        name: actor.kind,
        ...(actor.uid === undefined ? {} : { uid: `${actor.uid}` }),
        ...(actor.kind === "owner"
          ? { type_id: 1, type: "User" }
          : { type_id: OTHER, type: "Agent" }),
      },
      process: { pid: actor.pid },
    },
    entity: {
      type: scope,
      ...(target === undefined ? { uid: vaultId } : { name: target }),
      ...(version === undefined ? {} : { version: `${version}` }),
    },
    metadata: {
      version: OCSF_VERSION,
      product: { name: "Lango", vendor_name: "Lango", version: lango },
      uid: `${hash}-${part}`,
      event_code: action,
      log_name: "audit",
      sequence: seq,
      tenant_uid: vaultId,
    },
    unmapped: {
      hash,
      source: actor.source,
      authenticated: record.authenticated,
      ...(about === undefined ? {} : { about }),
    },
  });
};

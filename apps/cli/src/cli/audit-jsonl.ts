import type { AuditRecord } from "@lango/vault";

/** An event as a line of JSON, without its line break: who, what, where, when, whether it went well, and its place in the log. */
export const toJsonl = (record: AuditRecord): string => {
  const { actor, action, target, version, outcome, code, detail, about } = record;
  return JSON.stringify({
    user: actor.kind,
    key: target ?? null,
    scope: scopeOf(action),
    ts: new Date(record.ts).toISOString(),
    success: outcome === "success",
    action,
    detail: detail ?? null,
    seq: record.seq,
    part: record.part,
    hash: record.hash,
    ...(version === undefined ? {} : { version }),
    ...(code === undefined ? {} : { code }),
    ...(about === undefined ? {} : { about }),
    ...(actor.uid === undefined ? {} : { uid: actor.uid }),
    pid: actor.pid,
    source: actor.source,
    authenticated: record.authenticated,
  });
};

/** What kind of thing an action is about: `secret` of `secret.get`. */
export const scopeOf = (action: string): string => action.split(".")[0] ?? action;

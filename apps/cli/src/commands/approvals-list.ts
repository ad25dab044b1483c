import type { GrantInfo, HeldHandle } from "@lango/vault";
import type { Handler } from "../cli/command.ts";
import { table, when } from "../cli/output.ts";
import { withVault } from "../cli/vault.ts";

/** Lists the grants and handles that hold, and the last requests and decisions. */
export const run: Handler = (context, args) =>
  withVault(context, args, {}, async ({ approvals }) => {
    const grants = await approvals.grants.list();
    const handles = await approvals.handles.list();
    const history = await approvals.history(args.number("count") ?? 20);
    const decisions = history.map(({ seq, ts, action, target, outcome, code, detail, about }) => ({
      ...{ seq, ts, action, target, outcome, code, detail },
      ...about,
    }));
    const parts = [grantTable(grants), handleTable(handles), decided()];
    return { data: { grants, handles, decisions }, text: parts.filter(Boolean).join("\n\n") };

    function decided(): string {
      return (
        table(
          ["TIME", "WHAT", "TOOL", "BY", "WHY"],
          history.map(({ ts, action, code = "", detail = code, about = {} }) => [
            when(ts),
            action,
            about["tool"] ?? "-",
            about["by"] ?? "-",
            detail,
          ]),
        ) || "no decisions yet"
      );
    }
  });

const handleTable = (handles: readonly HeldHandle[]): string =>
  table(
    ["HANDLE", "SECRET", "TOOL", "FOR", "SESSION", "UNTIL", "USES", "BY"],
    handles.map(({ id, secret, tool, destination, session, expiresAt, uses, maxUses, by }) => [
      ...[id, secret, tool, destination, session],
      ...[when(expiresAt), `${uses} of ${maxUses}`, by],
    ]),
  );

const grantTable = (grants: readonly GrantInfo[]): string =>
  table(
    ["GRANT", "TOOL", "SCOPE", "FOR", "SESSION", "UNTIL", "USES", "BY"],
    grants.map(({ id, tool, scope, session = "any", expiresAt, uses, maxUses, by, ...what }) => [
      id,
      tool,
      scope,
      [what.secret, what.destination, what.binary, what.amount].filter(Boolean).join(" ") || "-",
      session,
      when(expiresAt),
      maxUses === undefined ? `${uses}` : `${uses} of ${maxUses}`,
      by,
    ]),
  ) || "no grants: agents ask each time";

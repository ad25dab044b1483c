import { type JsonValue, parseJsonStrict } from "@lango/envelope";
import { toolName } from "@lango/guard";
import type { GrantedAction, GrantScope, NewGrant } from "@lango/vault";
import { withApprover } from "../cli/approver.ts";
import { type Arguments, usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import { requireVault } from "../cli/home.ts";
import { counted, when } from "../cli/output.ts";
import { durationMs } from "../config/forms.ts";

const MINUTE_MS = 60_000;
const HTTPS_PORT = 443;
const MAX_ARGUMENT_BYTES = 256 * 1024;
const HOST = /^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])$/;

/** Lets agents do one thing for a while. */
export const run: Handler = async (context, args) => {
  await requireVault(context);
  const grant = grantOf(args);
  if (args.flag("dry-run")) {
    return { data: { grant, dryRun: true }, text: `would grant: ${describe(grant).join("; ")}` };
  }
  const what = [
    "Let agents do this without asking:",
    ...describe(grant).map((line) => `  ${line}`),
  ];
  return withApprover(context, args, what, async (vault, approver) => {
    const made = await vault.approvals.grants.add({ ...grant, by: approver.by });
    return {
      data: { grant: made },
      text: `granted ${made.id}, until ${when(made.expiresAt)}`,
    };
  });
};

const grantOf = (args: Arguments): NewGrant => {
  const session = args.string("session");
  const action: GrantedAction = {
    // A grant for any session has no use for one.
    session: session ?? "-",
    tool: toolName(args.positional("TOOL")),
    arguments: argumentsOf(args),
    secret: args.string("secret"),
    destination: destinationOf(args.string("to")),
    argv: args.strings("word").length === 0 ? undefined : args.strings("word"),
    binary: args.string("command"),
    cwd: args.string("cwd"),
    amount: args.string("amount"),
  };
  const scope = scopeOf(action);
  if (scope === "minutes" && session === undefined) {
    throw usageError(
      "A grant is for a destination, a command or a session",
      "Give --to, --command or --session",
    );
  }
  const minutes = Math.floor((durationMs(args.string("for") ?? "1h") ?? 0) / MINUTE_MS);
  if (minutes < 1) throw usageError("--for is a time of a minute and more, such as 30m or 8h");
  const uses = args.number("uses");
  return {
    ...{ scope, action, minutes, dangerous: true, by: "" },
    ...(session === undefined && { anySession: true }),
    ...(uses !== undefined && { maxUses: uses }),
  };
};

const scopeOf = (action: GrantedAction): GrantScope => {
  if (action.arguments !== undefined) return "minutes";
  if (action.argv !== undefined || action.cwd !== undefined) return "command";
  if (action.destination !== undefined) return "destination";
  return action.binary === undefined ? "minutes" : "command";
};

const argumentsOf = (args: Arguments): GrantedAction["arguments"] => {
  const text = args.string("arguments");
  if (text === undefined) return undefined;
  const value: JsonValue = parseJsonStrict(text, { maxBytes: MAX_ARGUMENT_BYTES });
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw usageError("--arguments is a JSON object");
  }
  return value as { readonly [key: string]: JsonValue };
};

/** As the actions of tools name it: `host:port`, or the path of a program. */
const destinationOf = (text: string | undefined): string | undefined => {
  if (text === undefined || text.startsWith("/")) return text;
  const [, host = "", port = `${HTTPS_PORT}`] =
    /^(.*?)(?::([0-9]{1,5}))?$/.exec(text.toLowerCase()) ?? [];
  if (!HOST.test(host)) throw usageError("--to is a host, host:port or the path of a program");
  return `${host}:${port}`;
};

const describe = ({ action, minutes, maxUses, anySession }: NewGrant): string[] => {
  const entries: readonly (readonly [string, string | undefined])[] = [
    ["tool", action.tool],
    ["secret", action.secret],
    ["to", action.destination],
    ["program", action.binary],
    ["words", action.argv && JSON.stringify(action.argv)],
    ["folder", action.cwd],
    ["arguments", action.arguments && JSON.stringify(action.arguments)],
    ["amount", action.amount],
    ["session", anySession ? "any" : action.session],
    ["time", counted(minutes, "minute")],
    ["uses", maxUses === undefined ? "as often as wanted" : `${maxUses}`],
  ];
  return entries.flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
};

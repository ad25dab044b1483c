import { tightenPolicy } from "@lango/guard";
import type { ApprovalPolicy } from "@lango/vault";
import { withApprover } from "../cli/approver.ts";
import type { Arguments } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { facts } from "../cli/output.ts";
import { withVault } from "../cli/vault.ts";
import { loadConfig } from "../config/load.ts";

/** Shows the policy of the vault and what the configuration makes of it, or changes that of the vault. */
export const run: Handler = async (context, args) => {
  const isChange =
    args.string("ask") !== undefined ||
    args.string("enabled") !== undefined ||
    [...args.strings("sensitive"), ...args.strings("exempt")].length > 0;
  if (!isChange || args.flag("dry-run")) {
    return withVault(context, args, {}, async ({ approvals }) =>
      shown(context, changed(args, await approvals.policy.get())),
    );
  }
  const what = ["Change when agents need an approval:", ...describe(changedParts(args))];
  return withApprover(context, args, what, async ({ approvals }, approver) => {
    const next = changed(args, await approvals.policy.get());
    await approvals.policy.set(next, { approver });
    return shown(context, next);
  });
};

const changed = (args: Arguments, before: ApprovalPolicy): ApprovalPolicy => ({
  ...before,
  ...changedParts(args),
});

const changedParts = (args: Arguments): Partial<ApprovalPolicy> => {
  const [ask, enabled] = [args.string("ask"), args.string("enabled")];
  const [sensitiveTools, exemptTools] = [args.strings("sensitive"), args.strings("exempt")];
  return {
    ...(enabled !== undefined && { enabled: enabled === "true" }),
    ...(ask !== undefined && { approvalPolicy: ask as ApprovalPolicy["approvalPolicy"] }),
    ...(sensitiveTools.length > 0 && { sensitiveTools: orNone(sensitiveTools) }),
    ...(exemptTools.length > 0 && { exemptTools: orNone(exemptTools) }),
  };
};

const orNone = (tools: readonly string[]): readonly string[] =>
  tools.length === 1 && tools[0] === "none" ? [] : tools;

const shown = async (context: Context, vault: ApprovalPolicy) => {
  const { security } = await loadConfig(context.home);
  const effective = tightenPolicy(vault, security.interceptor);
  return {
    data: { vault, effective },
    text: facts([
      ["vault", describe(vault).join(", ")],
      ["with config.json", describe(effective).join(", ")],
    ]),
  };
};

const describe = (policy: Partial<ApprovalPolicy>): string[] => {
  const { enabled, approvalPolicy, sensitiveTools, exemptTools } = policy;
  return [
    ...(enabled === undefined ? [] : [enabled ? "on" : "off"]),
    ...(approvalPolicy === undefined ? [] : [`ask ${approvalPolicy}`]),
    ...(sensitiveTools ? [`sensitive ${sensitiveTools.join(" ") || "none"}`] : []),
    ...(exemptTools ? [`exempt ${exemptTools.join(" ") || "none"}`] : []),
  ];
};

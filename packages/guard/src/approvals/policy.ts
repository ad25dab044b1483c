import { toolName } from "./snapshot.ts";
import type { ApprovalPolicy, Safety } from "./types.ts";

/** From the loosest to the strictest. */
const STRICTNESS: readonly ApprovalPolicy["approvalPolicy"][] = [
  "none",
  "configured",
  "dangerous",
  "all",
];

/**
 * What holds when a configuration file says something beside the vault: the stricter of both in every point, since anybody who
 * can write the file could loosen it.
 *
 * @param configured - `security.interceptor` of `config.json`. Its `exemptTools` exempt nothing that the vault does not; when
 *   there are any, only those remain.
 */
export const tightenPolicy = (
  vault: ApprovalPolicy,
  configured: ApprovalPolicy,
): ApprovalPolicy => {
  const rank = (policy: ApprovalPolicy): number => STRICTNESS.indexOf(policy.approvalPolicy);
  const exempt = new Set(configured.exemptTools.map(toolName));
  return {
    enabled: vault.enabled || configured.enabled,
    approvalPolicy:
      rank(vault) >= rank(configured) ? vault.approvalPolicy : configured.approvalPolicy,
    sensitiveTools: [...vault.sensitiveTools, ...configured.sensitiveTools],
    exemptTools: vault.exemptTools.filter(
      (tool) => exempt.size === 0 || exempt.has(toolName(tool)),
    ),
  };
};

/** Whether a tool needs an approval: exempt before sensitive before the policy; under `none`, nothing does. */
export const needsApproval = (policy: ApprovalPolicy, tool: string, safety: Safety): boolean => {
  if (!policy.enabled || policy.approvalPolicy === "none") return false;
  const isListed = (tools: readonly string[]): boolean =>
    tools.map(toolName).includes(toolName(tool));
  if (isListed(policy.exemptTools)) return false;
  if (isListed(policy.sensitiveTools) || policy.approvalPolicy === "all") return true;
  return policy.approvalPolicy !== "configured" && safety === "dangerous";
};

import type { SecretDestinations, SecretUsePolicy } from "../approval-types.ts";
import type { VaultContext } from "../context.ts";
import type { Gate } from "../gate.ts";
import { checkAudience, checkSecretName, isHiddenFrom, SECRETS } from "../names.ts";
import { noSecret } from "../secret-write.ts";
import type { CheckApprover } from "./approver.ts";
import { changePolicy, checkList, readPolicy } from "./policies.ts";
import { NO_POLICY, policySubject } from "./secret-policies.ts";

export const createDestinations = (
  context: VaultContext,
  checkApprover: CheckApprover,
  gate: Gate,
): SecretDestinations => {
  const isLive = async (name: string): Promise<boolean> => {
    const row = await context.store.secrets.describe(SECRETS, name);
    return row !== undefined && row.deletedAt === null;
  };
  return {
    get: (name, { audience } = {}) =>
      gate.run(async () => {
        checkSecretName(name);
        checkAudience(audience);
        if (isHiddenFrom(audience, name) || !(await isLive(name))) return undefined;
        return (await readPolicy<SecretUsePolicy>(context, policySubject(name))) ?? NO_POLICY;
      }),

    set: (name, { destinations, commands, requiresHandle }, { approver } = {}) =>
      gate.run(async () => {
        checkSecretName(name);
        checkList("list of destinations", destinations);
        checkList("list of commands", commands);
        const next = { destinations, commands, requiresHandle: requiresHandle === true };
        if (!(await isLive(name))) throw noSecret(name);
        await changePolicy<SecretUsePolicy>(
          context,
          policySubject(name),
          next,
          (old = NO_POLICY) => (loosens(old, next) ? checkApprover(approver) : approver),
        );
      }),
  };
};

/** An empty policy asks each time; one with entries forbids everything else. Both ways between them let something through. */
const loosens = (old: SecretUsePolicy, next: SecretUsePolicy): boolean => {
  const entries = (policy: SecretUsePolicy): readonly string[] => [
    ...policy.destinations.map((host) => `to ${host}`),
    ...policy.commands.map((path) => `by ${path}`),
  ];
  const [before, after] = [entries(old), entries(next)];
  return (
    (old.requiresHandle && !next.requiresHandle) ||
    (before.length > 0 && after.length === 0) ||
    after.some((entry) => !before.includes(entry))
  );
};

import { withoutUnlockVariables } from "@lango/unlock";
import type { Context } from "../cli/context.ts";

/** Variables by which servers of lango get their secrets, and older ones did. Commands are no servers. */
const SERVER_VARIABLE =
  /^(ADMIN_TOKEN|AGENT_SERVER_TOKEN|AUTH_TOKEN|REDIS_URL|DATABASE_URL|(LANGO|PLATOS)_MESSAGE_ENCRYPTION_KEY(_NEXT)?|(LANGO|OPENCLAW)_GATEWAY_TOKEN)(_FILE)?$/i;

/** The environment of a command, before its secrets: ours, without what opens the vault or belongs to a server. */
export const inheritedEnvironment = (env: Context["env"]): Record<string, string | undefined> =>
  Object.fromEntries(
    Object.entries(withoutUnlockVariables(env)).filter(([name]) => !SERVER_VARIABLE.test(name)),
  );

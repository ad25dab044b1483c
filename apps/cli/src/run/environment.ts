import { withoutUnlockVariables } from "@lango/unlock";
import type { Context } from "../cli/context.ts";
import { vaultPlace } from "../cli/place.ts";

/** Variables by which servers of lango get their secrets, and older ones did. Commands are no servers. */
const SERVER_VARIABLE =
  /^(ADMIN_TOKEN|AGENT_SERVER_TOKEN|AUTH_TOKEN|REDIS_URL|DATABASE_URL|(LANGO|PLATOS)_MESSAGE_ENCRYPTION_KEY(_NEXT)?|(LANGO|OPENCLAW)_GATEWAY_TOKEN)(_FILE)?$/i;

/**
 * The environment of a command, before its secrets: ours, without what opens the vault or its database, or belongs to a server.
 * Credentials of clouds and `CREDENTIALS_DIRECTORY` stay: the command may need them for its own work.
 */
export async function inheritedEnvironment(
  context: Context,
): Promise<Record<string, string | undefined>> {
  const { store } = await vaultPlace(context);
  // What libpq reads as well is the command's own, unless it is the password of the vault.
  const isOurs = store !== undefined && new URL(store.url).password === "";
  return Object.fromEntries(
    Object.entries(withoutUnlockVariables(context.env)).filter(
      ([name]) => !SERVER_VARIABLE.test(name) && !(isOurs && name.toUpperCase() === "PGPASSWORD"),
    ),
  );
}

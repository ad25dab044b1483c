import type { Handler } from "../cli/command.ts";
import { withVault } from "../cli/vault.ts";

/** Takes a grant back. */
export const run: Handler = (context, args) =>
  withVault(context, args, {}, async ({ approvals }) => {
    const id = args.positional("ID");
    await approvals.grants.revoke(id);
    return { data: { id, revoked: true }, text: `revoked ${id}` };
  });

import type { Handler } from "../cli/command.ts";
import { withVault } from "../cli/vault.ts";

/** As long as a SHA-256 in hex; the id of a grant is shorter. */
const HANDLE_ID_LENGTH = 64;

/** Takes a grant or a handle back. */
export const run: Handler = (context, args) =>
  withVault(context, args, {}, async ({ approvals }) => {
    const id = args.positional("ID");
    await (id.length === HANDLE_ID_LENGTH ? approvals.handles : approvals.grants).revoke(id);
    return { data: { id, revoked: true }, text: `revoked ${id}` };
  });

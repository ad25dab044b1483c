import { CryptoError, zero } from "@lango/crypto-core";
import type { Approver, Vault } from "@lango/vault";
import { terminalDevice } from "../terminal/device.ts";
import type { Arguments } from "./arguments.ts";
import type { Context } from "./context.ts";
import { requireVault } from "./home.ts";
import { printable } from "./output.ts";
import { hardenProcess } from "./process.ts";
import { orInterrupted } from "./terminal.ts";
import { withVault } from "./vault.ts";

/**
 * Runs what loosens a policy. A person types the passphrase at the terminal; nothing else will do, neither the keyring nor
 * a passphrase that was handed over: an agent with a shell has those.
 *
 * @param what - What the person is about to allow, a line each.
 */
export async function withApprover<T>(
  context: Context,
  args: Arguments,
  what: readonly string[],
  use: (vault: Vault, approver: Approver) => Promise<T>,
): Promise<T> {
  await requireVault(context);
  const device = terminalDevice();
  if (context.noInput || device.number() === undefined) {
    throw new CryptoError(
      "ERR_DENIED",
      "This needs an approver, and there is no terminal to ask at",
      {
        context: { hint: "Run it at a terminal and type the passphrase there" },
      },
    );
  }
  hardenProcess();
  const lines = what.map(printable);
  const label = "Passphrase, to approve this: ";
  const passphrase = await orInterrupted(
    device.ask({ lines, label, hidden: true }, new AbortController().signal),
  );
  if (passphrase === undefined || passphrase.length === 0) {
    throw new CryptoError("ERR_DENIED", "Nothing was changed");
  }
  try {
    return await withVault(context, args, { passphrase: passphrase.slice() }, async (vault) =>
      use(vault, await vault.approvals.approver(passphrase)),
    );
  } finally {
    zero(passphrase);
  }
}

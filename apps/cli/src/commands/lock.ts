import { isCryptoError } from "@lango/crypto-core";
import { agentStatus, createUnlocker, lockAgent } from "@lango/unlock";
import { openVault } from "@lango/vault";
import type { Handler } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { requireVault } from "../cli/home.ts";
import { vaultPlace } from "../cli/place.ts";
import { hardenProcess } from "../cli/process.ts";

/** Ends the agent. The log says so, where the key that the agent still has can open it. */
export const run: Handler = async (context) => {
  const agent = await agentStatus(context.home);
  if (agent === undefined) {
    await requireVault(context);
    return { data: { locked: false }, text: "No agent holds the key of this vault" };
  }
  await record(context, agent.pid);
  await lockAgent(context.home);
  return {
    data: { locked: true, pid: agent.pid },
    text: "Locked: the agent has forgotten the key",
  };
};

/** Whatever keeps the row from being written, the lock is not put off. */
async function record(context: Context, pid: number): Promise<void> {
  hardenProcess();
  const unlock = createUnlocker({
    home: context.home,
    env: {},
    unlockWith: "agent",
    stdinFree: false,
  });
  try {
    await using vault = await openVault({ ...(await vaultPlace(context)), unlock });
    await vault.audit.append({ action: "agent.lock", detail: `agent ${pid}` });
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    context.warn(`The log does not have it: ${error.message}`);
  }
}

import { CryptoError, isCryptoError, zero } from "@lango/crypto-core";
import {
  agentStatus,
  createUnlocker,
  lockAgent,
  noteAgentEnd,
  type UnlockResult,
} from "@lango/unlock";
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
  const unlocked = await keyOfAgent(context);
  try {
    await lockAgent(context.home);
    await record(context, agent.pid, unlocked);
  } finally {
    zero(unlocked?.credential.secret);
  }
  return {
    data: { locked: true, pid: agent.pid },
    text: "Locked: the agent has forgotten the key",
  };
};

/** What the agent holds, for the row of the log; without it the agent is locked all the same. */
async function keyOfAgent({ home }: Context): Promise<UnlockResult | undefined> {
  hardenProcess();
  const options = { home, env: {}, unlockWith: "agent", stdinFree: false } as const;
  try {
    return await createUnlocker(options).obtain([]);
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    return undefined;
  }
}

/** Written when the agent has ended: a vault that is out of reach, or hangs, puts off no lock. */
async function record(
  context: Context,
  pid: number,
  unlocked: UnlockResult | undefined,
): Promise<void> {
  try {
    if (unlocked === undefined) throw new CryptoError("ERR_LOCKED", "The agent gave no key");
    const unlock = async (): Promise<UnlockResult> => unlocked;
    await using vault = await openVault({ ...(await vaultPlace(context)), unlock });
    await vault.audit.append({ action: "agent.lock", detail: `agent ${pid}` });
  } catch (error) {
    await noteAgentEnd(context.home, "locked", pid);
    context.warn(
      `The log has it from the next unlock on: ${error instanceof Error ? error.message : error}`,
    );
  }
}

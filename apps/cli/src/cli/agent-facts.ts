import { isCryptoError } from "@lango/crypto-core";
import { type AgentStatus, agentStatus } from "@lango/unlock";
import { when } from "./output.ts";

/** The unlock agent of a home, for `whoami` and `status`; one that cannot be asked is among the sources, with the reason. */
export async function agentFacts(home: string): Promise<{
  readonly agent: AgentStatus | null;
  readonly text: string;
}> {
  const agent = await askAgent(home);
  if (agent === undefined) return { agent: null, text: "none" };
  const { pid, endsAt, idleEndsAt } = agent;
  const idle = idleEndsAt < endsAt ? `, ${when(idleEndsAt)} without use` : "";
  return { agent, text: `process ${pid}, until ${when(endsAt)}${idle}` };
}

async function askAgent(home: string): Promise<AgentStatus | undefined> {
  try {
    return await agentStatus(home);
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    return undefined;
  }
}

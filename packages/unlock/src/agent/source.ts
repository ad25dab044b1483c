import { isUnavailable } from "@lango/crypto-core";
import { found, type Source, skipped } from "../source.ts";
import type { Surroundings } from "../surroundings.ts";
import { agentKey, agentStatus } from "./client.ts";

const NONE_RUNS = 'none runs ("lango unlock" starts one)';

/** The agent that holds the vault key since `lango unlock`. */
export const agentSource = ({ home }: Surroundings): Source => ({
  name: "unlock agent",
  kinds: ["agent"],
  ambient: true,
  async take() {
    try {
      const key = await agentKey(home);
      return key === undefined
        ? skipped(NONE_RUNS)
        : { ...found(key.vaultKey), slotIds: [key.slotId] };
    } catch (error) {
      return skipped(whyAway(error));
    }
  },
  async look() {
    try {
      return (await agentStatus(home)) === undefined ? NONE_RUNS : undefined;
    } catch (error) {
      return whyAway(error);
    }
  },
});

function whyAway(error: unknown): string {
  if (isUnavailable(error)) return error.message;
  throw error;
}

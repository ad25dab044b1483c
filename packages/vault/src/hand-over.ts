import { type Bytes, CryptoError } from "@lango/crypto-core";
import type { VaultContext } from "./context.ts";
import type { HandedOver } from "./slot-types.ts";
import type { UnlockedBy } from "./types.ts";

/** Gives the vault key to an unlock agent, after the row that says so. */
export const handOver = async (
  { log }: Pick<VaultContext, "log">,
  vaultKey: Bytes,
  { kind, slotId }: UnlockedBy,
  detail: string,
): Promise<HandedOver> => {
  if (kind === "agent") {
    throw new CryptoError("ERR_DENIED", "The key of one agent is not handed on to another");
  }
  await log.commit("full", { action: "agent.unlock", target: slotId, detail });
  return { vaultKey: vaultKey.slice(), slotId };
};

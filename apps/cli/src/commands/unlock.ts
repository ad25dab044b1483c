import { CryptoError, concat, fromHex, isCryptoError, zero } from "@lango/crypto-core";
import { agentStatus } from "@lango/unlock";
import { startAgentProcess } from "../agent/start.ts";
import { type Arguments, usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import { requireVault } from "../cli/home.ts";
import { counted, when } from "../cli/output.ts";
import { withVault } from "../cli/vault.ts";
import { durationMs } from "../config/forms.ts";

const DAY_MS = 24 * 3_600_000;
const SECOND_MS = 1000;

/** Starts an agent that holds the vault key, so that the commands of the next hour ask for nothing. */
export const run: Handler = async (context, args) => {
  const limitMs = duration(args, "for", "1h");
  const idleMs = duration(args, "idle", "15m");
  if (process.platform === "win32") {
    throw new CryptoError("ERR_UNSUPPORTED", "There is no unlock agent on Windows", {
      context: { hint: 'Let the keyring open the vault: "lango security keyring store"' },
    });
  }
  await requireVault(context);
  await refuseSecond(context.home);
  // What any process of this user could give is no reason to hand out more.
  return withVault(context, args, { freshConsent: true }, async (vault) => {
    if (args.flag("dry-run")) {
      return { data: { dryRun: true }, text: "would start an agent that holds the vault key" };
    }
    const limits = `for ${limitMs / SECOND_MS} s, ${idleMs / SECOND_MS} s idle`;
    const { vaultKey, slotId } = await vault.handOver(limits);
    const secret = concat(fromHex(slotId) ?? new Uint8Array(), vaultKey);
    try {
      const agent = await startAgentProcess({ home: context.home, idleMs, limitMs, secret });
      context.note('Any process of this user can use it: "lango lock" ends it');
      return {
        data: agent,
        text: `Unlocked until ${when(agent.endsAt)}${idleMs < limitMs ? `, or ${idleText(idleMs)} without use` : ""}`,
      };
    } catch (error) {
      const code = isCryptoError(error) ? error.code : "ERR_INTERNAL";
      await vault.audit.append({ action: "agent.unlock", outcome: "failure", code });
      throw error;
    } finally {
      zero(vaultKey, secret);
    }
  });
};

function duration(args: Arguments, option: "for" | "idle", fallback: string): number {
  const text = args.string(option) ?? fallback;
  const ms = durationMs(text);
  if (ms !== undefined && ms >= SECOND_MS && ms <= DAY_MS) return ms;
  throw usageError(`--${option} ${text} is no time from 1s to 24h`, "As in: 30m, 8h");
}

const idleText = (ms: number): string =>
  ms % 60_000 === 0 ? counted(ms / 60_000, "minute") : counted(ms / SECOND_MS, "second");

/** Before anybody is asked for a passphrase. */
async function refuseSecond(home: string): Promise<void> {
  const agent = await agentStatus(home);
  if (agent === undefined) return;
  throw new CryptoError(
    "ERR_CONFLICT",
    `An agent holds the key already, until ${when(agent.endsAt)}`,
    {
      context: { hint: 'End it first: "lango lock"' },
    },
  );
}

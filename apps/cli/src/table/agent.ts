import type { Command } from "../cli/command.ts";

export const AGENT_COMMANDS: readonly Command[] = [
  {
    path: "unlock",
    summary: "keep the vault unlocked for a while: an agent in the background holds its key",
    examples: ["lango unlock", "lango unlock --for 8h --idle 30m"],
    options: {
      for: { type: "string", value: "TIME", summary: "how long at most (1h; up to 24h)" },
      idle: { type: "string", value: "TIME", summary: "how long without use (15m)" },
    },
    unlocks: true,
    writes: true,
    load: () => import("../commands/unlock.ts"),
  },
  {
    path: "lock",
    summary: "end the agent of lango unlock, and have it forget the key",
    examples: ["lango lock"],
    load: () => import("../commands/lock.ts"),
  },
];

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { script } from "./spawn.ts";

/** Lets another process lock the database of a home for writing. */
export const holdWriteLock = async (home: string): Promise<{ release(): Promise<void> }> => {
  const child = spawn(
    process.execPath,
    ["--conditions=@lango/source", script("locker"), join(home, "lango.db")],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout, "data");
  return {
    async release() {
      const ended = once(child, "close");
      child.stdin.end();
      await ended;
    },
  };
};

import { setTimeout as sleep } from "node:timers/promises";
import type { Prompter } from "@lango/companion";
import { promptLine } from "../terminal/prompt.ts";
import type { Context } from "./context.ts";
import { printable, writeNote } from "./output.ts";
import { canAsk } from "./terminal.ts";

/** How long what was typed before a question is thrown away: it was no answer to it. */
const DISCARD_MS = 250;

/** Asks on the terminal of this process; `undefined` where there is none. */
export const terminalPrompter = (context: Context): Prompter | undefined =>
  canAsk(context)
    ? {
        async ask({ lines, dangerous }, signal) {
          await discardTyped();
          signal.throwIfAborted();
          writeNote(["", ...lines].map(printable).join("\n"));
          const wanted = dangerous ? "yes" : "y";
          if (dangerous) writeNote(context.paint(2, "red", "This is dangerous."));
          const question = dangerous ? 'Type "yes" to allow it: ' : "Allow it? [y/N] ";
          try {
            const answer = (await promptLine(question, signal))?.trim().toLowerCase() ?? "";
            return answer === wanted || answer === "yes";
          } catch (error) {
            // Ctrl-C is no answer: it ends the program, as it does without a question.
            if ((error as Error).name !== "AbortError") throw error;
            process.kill(process.pid, "SIGINT");
            return false;
          } finally {
            if (signal.aborted) writeNote("(nobody waits for the answer any longer)");
          }
        },
      }
    : undefined;

/** Somebody who types while a question appears shall not have said yes to it. */
async function discardTyped(): Promise<void> {
  const { stdin } = process;
  const discard = (chunk: Buffer): void => void chunk.fill(0);
  stdin.setRawMode(true).on("data", discard).resume();
  await sleep(DISCARD_MS);
  stdin.off("data", discard).pause().setRawMode(false);
}

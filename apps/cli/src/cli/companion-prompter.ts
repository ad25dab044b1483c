import type { Prompter } from "@lango/companion";
import { discardTyped, promptLine } from "../terminal/prompt.ts";
import type { Context } from "./context.ts";
import { printable, writeNote } from "./output.ts";
import { canAsk } from "./terminal.ts";

/** Asks on the terminal of this process; `undefined` where there is none. */
export const terminalPrompter = (context: Context): Prompter | undefined =>
  canAsk(context)
    ? {
        async ask({ lines, dangerous }, signal) {
          try {
            // Somebody who types while a question appears shall not have said yes to it.
            await discardTyped();
            signal.throwIfAborted();
            writeNote(["", ...lines].map(printable).join("\n"));
            const wanted = dangerous ? "yes" : "y";
            if (dangerous) writeNote(context.paint(2, "red", "This is dangerous."));
            const question = dangerous ? 'Type "yes" to allow it: ' : "Allow it? [y/N] ";
            const answer = (await promptLine(question, signal))?.trim().toLowerCase() ?? "";
            return answer === wanted || answer === "yes";
          } catch (error) {
            // Ctrl-C is no answer: it ends the program, as it does without a question.
            if (signal.aborted || (error as Error).name !== "AbortError") throw error;
            process.kill(process.pid, "SIGINT");
            return false;
          } finally {
            if (signal.aborted) writeNote("(nobody waits for the answer any longer)");
          }
        },
      }
    : undefined;

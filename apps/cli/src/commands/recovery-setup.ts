import { randomInt } from "node:crypto";
import { CryptoError, zero } from "@lango/crypto-core";
import { newRecoveryWords } from "@lango/unlock";
import { usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import { requireVault } from "../cli/home.ts";
import { askLine, canAsk } from "../cli/terminal.ts";
import { withVault } from "../cli/vault.ts";
import { onOtherScreen } from "../terminal/other-screen.ts";

/** Makes 24 words that open the vault when the passphrase is lost. */
export const run: Handler = async (context, args) => {
  await requireVault(context);
  // Before the passphrase is asked for. The words go to a person and to nothing else.
  if (!canAsk(context))
    throw usageError("Recovery words are shown on a terminal, and there is none");
  return withVault(context, args, { freshConsent: true }, async (vault) => {
    const before = (await vault.slots.list()).filter(({ kind }) => kind === "recovery");
    if (args.flag("dry-run")) {
      return {
        data: { dryRun: true, replaces: before.map(({ id }) => id) },
        text: `would make 24 words${before.length === 0 ? "" : ", in the place of the old ones"}`,
      };
    }
    const { words, entropy } = await newRecoveryWords();
    try {
      await onOtherScreen(() => showWords(words));
      await askBack(words);
      const slot = await vault.slots.add({ kind: "recovery", entropy });
      for (const { id } of before) {
        if (id !== vault.unlockedBy.slotId) await vault.slots.remove(id);
      }
      return {
        data: { slot, replaced: before.map(({ id }) => id) },
        text: `The 24 words open the vault now${before.length === 0 ? "" : ", and the old ones no more"}`,
      };
    } finally {
      zero(entropy);
    }
  });
};

const COLUMNS = 4;

async function showWords(words: readonly string[]): Promise<void> {
  const rows = words.length / COLUMNS;
  const lines = Array.from({ length: rows }, (_, row) =>
    Array.from({ length: COLUMNS }, (_, column) => {
      const index = column * rows + row;
      return `${String(index + 1).padStart(2)}. ${words[index]}`.padEnd(16);
    }).join(""),
  );
  process.stderr.write(
    `Write these words down on paper, in this order:\n\n${lines.join("\n")}\n\n`,
  );
  await askLine("Press Enter when you have them all; they are not shown again. ");
}

/** Two of them, so that nobody goes on without having written them down. */
async function askBack(words: readonly string[]): Promise<void> {
  const first = randomInt(words.length);
  const second = (first + 1 + randomInt(words.length - 1)) % words.length;
  for (const index of [first, second]) {
    const answer = (await askLine(`Word ${index + 1}: `))?.trim().toLowerCase();
    if (answer !== words[index]) {
      throw new CryptoError("ERR_DENIED", `That is not word ${index + 1}: nothing was changed`, {
        context: { hint: "Run the command again: it makes other words" },
      });
    }
  }
}

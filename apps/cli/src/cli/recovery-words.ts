import { randomInt } from "node:crypto";
import { type Bytes, CryptoError, zero } from "@lango/crypto-core";
import { newRecoveryWords } from "@lango/unlock";
import type { SlotSummary, Vault } from "@lango/vault";
import { onOtherScreen } from "../terminal/other-screen.ts";
import { usageError } from "./arguments.ts";
import type { Context } from "./context.ts";
import { writeNote } from "./output.ts";
import { askLine, canAsk } from "./terminal.ts";

/** @throws CryptoError `ERR_INVALID_ARGUMENT`: the words go to a person and to nothing else. */
export function requireSomebodyToShow(context: Context): void {
  if (!canAsk(context)) throw nobodyToShow();
}

export const nobodyToShow = (): CryptoError =>
  usageError(
    "Recovery words are shown on a terminal, and there is none",
    "Run it on a terminal, without --json and --no-input",
  );

/**
 * Makes 24 words, shows them, asks two of them back, and adds their slot.
 *
 * @throws CryptoError `ERR_DENIED` for a wrong answer: nothing was changed.
 */
export async function addRecoveryWords(vault: Vault, label?: string): Promise<SlotSummary> {
  const entropy = await writtenDownWords();
  try {
    return await vault.slots.add({ kind: "recovery", entropy, label });
  } finally {
    zero(entropy);
  }
}

/**
 * Makes 24 words, shows them and asks two of them back.
 *
 * @returns The entropy of their slot; the caller zeroes it.
 * @throws CryptoError `ERR_DENIED` for a wrong answer.
 */
export async function writtenDownWords(): Promise<Bytes> {
  const { words, entropy } = await newRecoveryWords();
  try {
    await onOtherScreen(() => showWords(words));
    await askBack(words);
    return entropy;
  } catch (error) {
    zero(entropy);
    throw error;
  }
}

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
  for (const index of [first, second]) await askWord(words, index);
}

/** More than once: a slip of the fingers would throw away what was written down. */
const TRIES = 3;

async function askWord(words: readonly string[], index: number): Promise<void> {
  for (let attempt = 1; attempt <= TRIES; attempt += 1) {
    const answer = await askLine(`Word ${index + 1}: `);
    if (answer?.trim().toLowerCase() === words[index]) return;
    if (answer === undefined) break;
    if (attempt < TRIES) writeNote(`That is not word ${index + 1}: look at your paper`);
  }
  throw new CryptoError("ERR_DENIED", `That is not word ${index + 1}: nothing was changed`, {
    context: { hint: "Run the command again: it makes other words" },
  });
}

import { utf8 } from "@lango/crypto-core";
import { describe, expect, test } from "vitest";
import { createUnlocker, newRecoveryWords } from "../src/index.ts";
import { failureOf, obtainInChild, options, slots, temporaryFolder } from "./support.ts";

const withRecovery = slots("passphrase", "recovery");

/** A person who types these lines in turn. */
function typing(...lines: (string | undefined)[]) {
  const labels: string[] = [];
  const promptWords = async (label: string) => {
    const line = lines[labels.length];
    labels.push(label);
    return line === undefined ? undefined : utf8(line);
  };
  return { labels, promptWords };
}

const asking = (more: object) =>
  createUnlocker(options(temporaryFolder(), { unlockWith: "recovery", ...more }));

describe("recovery words", () => {
  test("are asked for only where they are asked for by name", async () => {
    const { words, entropy } = await newRecoveryWords();
    const { labels, promptWords } = typing(words.join("  ").toUpperCase());
    const { credential, skipped } = await asking({ promptWords }).obtain(withRecovery);
    expect(credential).toMatchObject({
      ...{ kind: "recovery", source: "recovery words", ambient: false, slotIds: ["slot-1"] },
      secret: entropy,
    });
    expect(skipped.every(({ reason }) => reason.startsWith("--unlock-with recovery"))).toBe(true);
    expect(labels).toEqual(["The 24 recovery words, on one line:\n"]);
    const other = createUnlocker(options(temporaryFolder(), { promptWords }));
    const { hint } = await failureOf(other.obtain(withRecovery));
    expect(hint).toContain("recovery words: asked for only with --unlock-with recovery");
    expect(labels).toHaveLength(1);
  });

  test("typed wrong are asked for again, three times at most, and then open nothing", async () => {
    const { words } = await newRecoveryWords();
    const short = words.slice(1).join(" ");
    const again = typing(short, words.join(" "));
    await asking({ promptWords: again.promptWords }).obtain(withRecovery);
    expect(again.labels[1]).toMatch(/^The recovery words are 24: found 23/);
    const never = typing(short, short, short, words.join(" "));
    const unlocker = asking({ promptWords: never.promptWords });
    const failure = await failureOf(unlocker.obtain(withRecovery));
    expect(failure.code).toBe("ERR_WRONG_PASSPHRASE");
    expect(never.labels).toHaveLength(3);
  });

  test("come from a descriptor too; wrong ones name the checksum and repeat no word", async () => {
    const { words, entropy } = await newRecoveryWords();
    const pipe = (text: string) =>
      obtainInChild({ recoveryWordsFd: 3 }, ["ignore", { pipe: text }], ["passphrase", "recovery"]);
    const given = await pipe(`${words.join("\n")}\n`);
    expect(given).toMatchObject({
      source: "--recovery-words-fd 3",
      secretHex: Buffer.from(entropy).toString("hex"),
    });
    // With these the last word, which carries the checksum, is "art".
    const wrong = await pipe(`${"abandon ".repeat(23)}about`);
    expect(wrong.code).toBe("ERR_WRONG_PASSPHRASE");
    expect(wrong.message).toMatch(/do not fit together.*from --recovery-words-fd 3/);
    expect(wrong.hint).toContain("checksum");
    expect(`${wrong.message} ${wrong.hint}`).not.toContain("abandon");
  });

  test("and another kind of slot contradict each other", async () => {
    const unlocker = createUnlocker(
      options(temporaryFolder(), { recoveryWordsFd: 3, unlockWith: "passphrase" }),
    );
    expect(await failureOf(unlocker.obtain(withRecovery))).toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: "--recovery-words-fd 3 and --unlock-with passphrase contradict each other",
    });
  });

  test("without a terminal, or without an answer, give nothing", async () => {
    const { hint } = await failureOf(asking({}).obtain(withRecovery));
    expect(hint).toContain("recovery words: there is no terminal to ask on");
    const { promptWords } = typing(undefined);
    const gaveUp = await failureOf(asking({ promptWords }).obtain(withRecovery));
    expect(gaveUp.hint).toContain("recovery words: nothing was entered");
  });
});

import { isCryptoError, toHex, utf8 } from "@lango/crypto-core";
import { describe, expect, test } from "vitest";
import { newRecoveryWords, parseRecoveryWords } from "../src/index.ts";

// Of the published vectors of BIP-39 (trezor/python-mnemonic, vectors.json), those with 24 words.
const VECTORS: readonly (readonly [string, string])[] = [
  ["00".repeat(32), `${"abandon ".repeat(23)}art`],
  [
    "7f".repeat(32),
    "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth title",
  ],
  [
    "80".repeat(32),
    "letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic bless",
  ],
  ["ff".repeat(32), `${"zoo ".repeat(23)}vote`],
  [
    "68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c",
    "hamster diagram private dutch cause delay private meat slide toddler razor book happy fancy gospel tennis maple dilemma loan word shrug inflict delay length",
  ],
];

const failure = async (text: string): Promise<string> => {
  const error = await parseRecoveryWords(utf8(text)).catch((reason: unknown) => reason);
  if (!isCryptoError(error)) throw new Error(`It took ${text}`);
  expect(error.code).toBe("ERR_INVALID_ARGUMENT");
  return error.message;
};

describe("recovery words", () => {
  test.each(VECTORS)("are those of BIP-39 for %s", async (hex, words) => {
    expect(toHex(await parseRecoveryWords(utf8(words)))).toBe(hex);
  });

  test("come back however they are written down", async () => {
    const { words, entropy } = await newRecoveryWords();
    expect(words).toHaveLength(24);
    const written = [
      words.join(" "),
      `  ${words.join("\n")}\n`,
      words.map((word, index) => `${index + 1}. ${word.toUpperCase()}`).join("\t"),
      words.map((word) => word.slice(0, 4)).join(","),
      words.join("\u3000"),
    ];
    for (const text of written) expect(await parseRecoveryWords(utf8(text))).toEqual(entropy);
    expect((await newRecoveryWords()).entropy).not.toEqual(entropy);
  });

  test("that are wrong are named by number, and never repeated", async () => {
    const [, words] = VECTORS[4]!;
    const list = words.split(" ");
    expect(await failure("")).toMatch(/24: found 0$/);
    expect(await failure(list.slice(1).join(" "))).toMatch(/24: found 23$/);
    const odd = list.with(2, "hunter2").with(22, "xyzzy").join(" ");
    const message = await failure(odd.replace("hunter2", "huntertwo"));
    expect(message).toMatch(/word 3, 23$/);
    expect(message).not.toMatch(/hunter|xyzzy/);
    expect(await failure(list.with(0, "zoo").join(" "))).toMatch(/do not fit together/);
    expect(await failure([list[1], list[0], ...list.slice(2)].join(" "))).toMatch(/do not fit/);
  });
});

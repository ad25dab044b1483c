import { type Bytes, CryptoError, randomBytesFresh, toPlain } from "@lango/crypto-core";

/** 256 bits and 8 of checksum, 11 to a word (BIP-39). */
const WORDS = 24;
const ENTROPY_BYTES = 32;

/** Words to write down, and what they stand for. */
export interface RecoveryWords {
  /** 24 words of the English list of BIP-39. Strings: they are there to be shown. */
  readonly words: readonly string[];
  /** 32 random bytes, the credential of a recovery slot; the caller zeroes them. */
  readonly entropy: Bytes;
}

/** Makes 24 new words. */
export async function newRecoveryWords(): Promise<RecoveryWords> {
  const { entropyToMnemonic, wordlist } = await bip39();
  const entropy = randomBytesFresh(ENTROPY_BYTES);
  return { words: entropyToMnemonic(entropy, wordlist).split(" "), entropy };
}

/**
 * Reads 24 words as people write them: any case and spacing, with or without numbers before them, also when only the first
 * four letters of a word are there, which tell all words of the list apart.
 *
 * @param text - UTF-8; not changed.
 * @returns 32 bytes; the caller zeroes them.
 * @throws CryptoError `ERR_INVALID_ARGUMENT` that says how many words were found, which ones by number are not in the list, or
 *   that the last one does not fit the others; it repeats no word.
 */
export async function parseRecoveryWords(text: Uint8Array): Promise<Bytes> {
  const { mnemonicToEntropy, wordlist } = await bip39();
  const typed = new TextDecoder()
    .decode(text)
    .normalize("NFKD")
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((word) => word !== "");
  if (typed.length !== WORDS) {
    throw invalid(`The recovery words are ${WORDS}: found ${typed.length}`);
  }
  const words = typed.map((word) => completed(word, wordlist));
  const unknown = words.flatMap((word, index) => (word === undefined ? [index + 1] : []));
  if (unknown.length > 0) {
    throw invalid(`Not in the list of BIP-39: word ${unknown.join(", ")}`);
  }
  try {
    return toPlain(mnemonicToEntropy(words.join(" "), wordlist));
  } catch {
    throw invalid("The recovery words do not fit together: one is another, or two changed places");
  }
}

const completed = (word: string, list: readonly string[]): string | undefined => {
  if (list.includes(word)) return word;
  // Words of three letters are whole; of the others the first four are enough.
  return word.length === 4 ? list.find((each) => each.startsWith(word)) : undefined;
};

/** Loaded late: the list is of no use to whoever opens with something else. */
const bip39 = async () => ({
  ...(await import("@scure/bip39")),
  ...(await import("@scure/bip39/wordlists/english.js")),
});

const invalid = (message: string): CryptoError => new CryptoError("ERR_INVALID_ARGUMENT", message);

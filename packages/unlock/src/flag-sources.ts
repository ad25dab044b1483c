import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { type Bytes, CryptoError } from "@lango/crypto-core";
import { inspectDescriptor, isTerminal, readDescriptor } from "./descriptor.ts";
import { parseAndZero } from "./parse-master-key.ts";
import { wordsFrom } from "./recovery-source.ts";
import { readSecretFile } from "./secret-file.ts";
import { found, type Source } from "./source.ts";
import type { Surroundings } from "./surroundings.ts";

/** The sources that flags of the command name; each either gives a credential or fails. */
export function flagSources(around: Surroundings): Source[] {
  const { passphraseFd, passphraseFile, passphraseStdin, masterKeyFd, recoveryWordsFd } = around;
  const sources: Source[] = [];
  if (passphraseFd !== undefined) sources.push(passphraseDescriptor(passphraseFd, around));
  if (passphraseFile !== undefined) sources.push(passphraseFileFlag(passphraseFile, around));
  if (passphraseStdin === true) sources.push(passphraseOnStdin(around));
  if (masterKeyFd !== undefined) sources.push(masterKeyDescriptor(masterKeyFd));
  if (recoveryWordsFd !== undefined) sources.push(recoveryWordsDescriptor(recoveryWordsFd));
  return sources;
}

/** @param parse - Turns what was read into the secret, and zeroes the rest. */
const descriptor = (
  option: string,
  fd: number,
  kinds: Source["kinds"],
  parse: (read: Bytes, name: string) => Bytes | Promise<Bytes>,
): Source => {
  const name = `${option} ${fd}`;
  return {
    name,
    kinds,
    ambient: false,
    take: async () => found(await parse(await readFlag(fd, name), name)),
    async look() {
      inspectDescriptor(fd, name);
      return undefined;
    },
  };
};

const passphraseDescriptor = (fd: number, around: Surroundings): Source =>
  descriptor(`${passphraseOption(around)}-fd`, fd, ["passphrase"], (read) => read);

// A raw key is a raw key, wherever it was kept when its slot was made.
const masterKeyDescriptor = (fd: number): Source =>
  descriptor("--master-key-fd", fd, ["env", "master-key-file", "keyring"], parseAndZero);

const recoveryWordsDescriptor = (fd: number): Source =>
  descriptor("--recovery-words-fd", fd, ["recovery"], wordsFrom);

const passphraseFileFlag = (path: string, around: Surroundings): Source => ({
  name: `${passphraseOption(around)}-file ${path}`,
  kinds: ["passphrase"],
  ambient: false,
  async take() {
    const bytes = await readSecretFile(resolve(path), {
      ...around.files,
      source: `${passphraseOption(around)}-file`,
      pipe: true,
    });
    if (bytes !== undefined) return found(bytes);
    throw noSuchFile(path, around);
  },
  async look() {
    // Not read: that would empty a pipe.
    if (!existsSync(path)) throw noSuchFile(path, around);
    return undefined;
  },
});

const noSuchFile = (path: string, around: Surroundings): CryptoError =>
  new CryptoError("ERR_CONFIG", `${passphraseOption(around)}-file ${path} does not exist`);

const passphraseOnStdin = (around: Surroundings): Source => {
  const name = "--passphrase-stdin";
  const check = (): void => {
    if (!around.stdinFree) {
      throw new CryptoError(
        "ERR_INVALID_ARGUMENT",
        `${name}: this command reads its input from standard input`,
        { context: { hint: "Use --passphrase-fd or --passphrase-file" } },
      );
    }
    if (isTerminal(0)) {
      throw new CryptoError("ERR_INVALID_ARGUMENT", `${name}: standard input is a terminal`, {
        context: { hint: `Leave ${name} out to be asked` },
      });
    }
  };
  return {
    name,
    kinds: ["passphrase"],
    ambient: false,
    async take() {
      check();
      return found(await readFlag(0, name));
    },
    async look() {
      check();
      return undefined;
    },
  };
};

const passphraseOption = ({ optionPrefix = "" }: Surroundings): string =>
  `--${optionPrefix}passphrase`;

async function readFlag(fd: number, name: string): Promise<Bytes> {
  const bytes = await readDescriptor(fd, inspectDescriptor(fd, name), { source: name });
  if (bytes !== undefined && bytes.length > 0) return bytes;
  throw new CryptoError("ERR_INVALID_ARGUMENT", `${name} gave no bytes`);
}

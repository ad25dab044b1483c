import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { utf8 } from "@lango/crypto-core";
import { describe, expect, onTestFinished, test } from "vitest";
import { KEY_HEX, obtainInChild, obtainInShell, temporaryFolder } from "./support.ts";

const hex = (text: string): string => Buffer.from(utf8(text)).toString("hex");

function opened(contents: string | Uint8Array): number {
  const path = join(temporaryFolder(), "input");
  writeFileSync(path, contents);
  const fd = openSync(path, "r");
  onTestFinished(() => closeSync(fd));
  return fd;
}

describe("--passphrase-fd", () => {
  test("reads a socket to its end, newline and all", async () => {
    const result = await obtainInChild({ passphraseFd: 3 }, [
      "ignore",
      { pipe: "correct horse\n" },
    ]);
    expect(result).toMatchObject({
      source: "--passphrase-fd 3",
      secretHex: hex("correct horse\n"),
      skipped: [],
    });
  });
  test("reads a pipe", () => {
    const result = obtainInShell(
      "printf 'correct horse' | { exec 3<&0; exec \"$@\" </dev/null; }",
      { passphraseFd: 3 },
    );
    expect(result).toMatchObject({ source: "--passphrase-fd 3", secretHex: hex("correct horse") });
  });
  test("reads a file", async () => {
    const result = await obtainInChild({ passphraseFd: 3 }, ["ignore", opened("pass wörd")]);
    expect(result.secretHex).toBe(hex("pass wörd"));
  });
  test("reads bytes that are no text as they are", async () => {
    const result = await obtainInChild({ passphraseFd: 3 }, [
      "ignore",
      opened(Buffer.from([0xff, 0, 0x80])),
    ]);
    expect(result.secretHex).toBe("ff0080");
  });
  test("0 is standard input, and stays open", async () => {
    const result = await obtainInChild({ passphraseFd: 0 }, [{ pipe: "correct horse" }]);
    expect(result).toMatchObject({ secretHex: hex("correct horse"), stdinOpen: true });
  });
  test.each([9, 77, -1, 1.5])("says that %s is not open", async (passphraseFd) => {
    const result = await obtainInChild({ passphraseFd }, ["ignore"]);
    expect(result).toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: expect.stringMatching(
        /file descriptor .* is not (open|a file, a pipe or a socket)$/,
      ),
    });
  });
  test.runIf(process.platform === "linux")("does not wait for a pipe of Node itself", async () => {
    const failures = await Promise.all(
      [5, 6, 7, 8].map((passphraseFd) => obtainInChild({ passphraseFd }, ["ignore"])),
    );
    for (const { code } of failures) expect(code).toBe("ERR_INVALID_ARGUMENT");
  });
  test("an empty one is an error", async () => {
    const result = await obtainInChild({ passphraseFd: 3 }, ["ignore", { pipe: "" }]);
    expect(result).toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: "--passphrase-fd 3 gave no bytes",
    });
  });
  test.each([
    ["file", () => opened("x".repeat(65_537))],
    ["pipe", () => ({ pipe: "x".repeat(200_000), keepOpen: true })],
  ])("a %s beyond 64 KiB is an error", async (_, input) => {
    const result = await obtainInChild({ passphraseFd: 3 }, ["ignore", input()]);
    expect(result).toMatchObject({
      code: "ERR_CONFIG",
      message: "--passphrase-fd 3 holds more than 65536 bytes",
    });
  });
  test("64 KiB exactly are taken", async () => {
    const result = await obtainInChild({ passphraseFd: 3 }, [
      "ignore",
      { pipe: "x".repeat(65_536) },
    ]);
    expect(result.secretHex?.length).toBe(2 * 65_536);
  });
});

describe("--master-key-fd", () => {
  test("reads a key for any slot of a raw key", async () => {
    const result = await obtainInChild(
      { masterKeyFd: 3 },
      ["ignore", { pipe: `${KEY_HEX}\n` }],
      ["master-key-file"],
    );
    expect(result).toMatchObject({ source: "--master-key-fd 3", secretHex: KEY_HEX });
  });
  test("refuses what is no key, and names itself", async () => {
    const result = await obtainInChild({ masterKeyFd: 3 }, ["ignore", { pipe: "hunter2" }]);
    expect(result.code).toBe("ERR_CONFIG");
    expect(result.message).toMatch(/^--master-key-fd 3 is not 64 hexadecimal characters/);
    expect(result.message).not.toContain("hunter2");
  });
});

describe("standard input", () => {
  test("--passphrase-stdin reads it", async () => {
    const result = await obtainInChild({ passphraseStdin: true, stdinFree: true }, [
      { pipe: "correct horse" },
    ]);
    expect(result).toMatchObject({ source: "--passphrase-stdin", secretHex: hex("correct horse") });
  });
  test("--passphrase-stdin reads a pipe of a shell, and leaves descriptor 0 open", () => {
    const result = obtainInShell("printf 'correct horse' | \"$@\"", {
      passphraseStdin: true,
      stdinFree: true,
    });
    expect(result).toMatchObject({ secretHex: hex("correct horse"), stdinOpen: true });
  });
  test("--passphrase-stdin is refused when the command needs it", async () => {
    const result = await obtainInChild({ passphraseStdin: true }, [{ pipe: "correct horse" }]);
    expect(result).toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      hint: expect.stringContaining("--passphrase-fd"),
    });
  });
  test("is the last source when nothing else gives one", async () => {
    const result = await obtainInChild({ stdinFree: true }, [{ pipe: "correct horse\n" }]);
    expect(result).toMatchObject({ source: "stdin", secretHex: hex("correct horse\n") });
    expect(result.skipped?.at(-1)).toEqual({
      source: "prompt",
      reason: "there is no terminal to ask on",
    });
  });
  test("is left alone when the command needs it", async () => {
    const result = await obtainInChild({}, [{ pipe: "the value of a secret" }]);
    expect(result).toMatchObject({
      code: "ERR_LOCKED",
      hint: expect.stringContaining("stdin: the command reads its input from it"),
    });
  });
  test("is skipped when it is empty", async () => {
    const result = await obtainInChild({ stdinFree: true }, ["ignore"]);
    expect(result.hint).toContain("stdin: nothing is piped in");
  });
  test("is skipped when nobody writes to it", async () => {
    const result = await obtainInChild({ stdinFree: true, stdinWaitMs: 50 }, [
      { pipe: "", keepOpen: true },
    ]);
    expect(result.hint).toContain("stdin: nothing came within 50 ms");
  });
});

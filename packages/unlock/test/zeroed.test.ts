import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bytes, utf8 } from "@lango/crypto-core";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { createUnlocker, type KeyringBackend } from "../src/index.ts";
import { failureOf, KEY_HEX, options, slots, temporaryFolder, text } from "./support.ts";

const isZero = (bytes: Uint8Array): boolean =>
  bytes.length > 0 && bytes.every((byte) => byte === 0);

/**
 * All memory that the secret came into on its way through Node: what text became, and what was cut from larger buffers,
 * with those. What the test is handed in the end is among it.
 */
const watchCopies = (): Uint8Array[] => {
  const seen: Uint8Array[] = [];
  const typedArrays = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
  const { slice } = typedArrays;
  vi.spyOn(typedArrays, "slice").mockImplementation(function (this: Uint8Array, ...range) {
    const part = slice.apply(this, range);
    seen.push(this, part);
    return part as never;
  });
  const { encode } = TextEncoder.prototype;
  vi.spyOn(TextEncoder.prototype, "encode").mockImplementation(function (this: object, value) {
    const encoded = encode.call(this as never, value);
    seen.push(encoded);
    return encoded;
  });
  onTestFinished(() => void vi.restoreAllMocks());
  return seen;
};

const homeWith = (files: Readonly<Record<string, string>>): string => {
  const home = temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(home, name), content, { mode: 0o600 });
  }
  return home;
};

describe("a new passphrase that is typed twice", () => {
  test.each<[string, string, string | undefined]>([
    ["alike", "correct horse", "correct horse"],
    ["differently", "correct horse", "correct hearse"],
    ["once only", "correct horse", undefined],
  ])("%s leaves neither entry", async (_what, first, second) => {
    const entries: Bytes[] = [];
    const answers = [first, second];
    const prompt = async () => {
      const answer = answers[entries.length];
      if (answer === undefined) return undefined;
      const entry = utf8(answer);
      entries.push(entry);
      return entry;
    };
    const unlocker = createUnlocker(options(temporaryFolder(), { prompt }));
    const result = await unlocker.obtainNewPassphrase().catch(() => undefined);
    expect(entries).toHaveLength(second === undefined ? 1 : 2);
    expect(entries.every(isZero)).toBe(true);
    expect(result && text(result.passphrase)).toBe(first === second ? first : undefined);
  });
});

describe("the text of a master key is zeroed", () => {
  const keyringWith = (secret: Bytes): KeyringBackend =>
    ({ get: async () => secret, has: async () => true }) as unknown as KeyringBackend;

  test.each([
    ["a key", KEY_HEX],
    ["no key", "not a key, but long enough to be looked at with care"],
  ])("when the keyring holds %s", async (_what, content) => {
    const entry = utf8(content);
    const keyring = keyringWith(entry);
    const unlocker = createUnlocker(options(temporaryFolder(), { keyring }));
    await unlocker.obtain(slots("keyring")).catch(() => undefined);
    expect(isZero(entry)).toBe(true);
  });

  test("when it comes from variables and from a file", async () => {
    const home = homeWith({ "master.key": KEY_HEX });
    const env = { LANGO_MASTER_KEY: KEY_HEX, AUTHSOME_MASTER_KEY: KEY_HEX.toUpperCase() };
    for (const [given, kind, copies] of [
      [{ env }, "env", 2],
      [{}, "master-key-file", 2],
    ] as const) {
      const seen = watchCopies();
      const { credential } = await createUnlocker(options(home, given)).obtain(slots(kind));
      expect(credential.secret).toHaveLength(32);
      expect(seen.length).toBeGreaterThanOrEqual(copies);
      expect(seen.every(isZero)).toBe(true);
      vi.restoreAllMocks();
    }
  });
});

describe("of a passphrase that two variables give", () => {
  const given = (inFile: string) => {
    const home = homeWith({ file: inFile });
    const env = { LANGO_PASSPHRASE: "correct horse", LANGO_PASSPHRASE_FILE: join(home, "file") };
    return createUnlocker(options(home, { env }));
  };

  test("one copy stays, the one that is handed out", async () => {
    const unlocker = given("correct horse\n");
    const seen = watchCopies();
    const { credential } = await unlocker.obtain(slots("passphrase"));
    const left = seen.filter((bytes) => !isZero(bytes));
    expect(left.map(text)).toEqual(["correct horse"]);
    expect(credential.secret.buffer).toBe(left[0]?.buffer);
    expect(seen.length).toBeGreaterThanOrEqual(3);
  });

  test("none stays when they differ", async () => {
    const unlocker = given("another horse\n");
    const seen = watchCopies();
    expect((await failureOf(unlocker.obtain(slots("passphrase")))).code).toBe("ERR_CONFIG");
    expect(seen.length).toBeGreaterThanOrEqual(3);
    expect(seen.every(isZero)).toBe(true);
  });
});

test("describing the sources leaves nothing of what it read", async () => {
  const home = homeWith({ passphrase: "correct horse\n" });
  const unlocker = createUnlocker(options(home));
  const seen = watchCopies();
  expect((await unlocker.describe(slots("passphrase"))).at(-1)?.state).toBe("would use");
  expect(seen.length).toBeGreaterThanOrEqual(2);
  expect(seen.every(isZero)).toBe(true);
});

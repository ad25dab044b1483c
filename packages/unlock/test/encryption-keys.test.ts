import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import {
  createUnlocker,
  isUnlockVariable,
  keysForNewVault,
  type SlotInfo,
  withoutUnlockVariables,
} from "../src/index.ts";
import { failureOf, KEY_HEX, options, temporaryFolder } from "./support.ts";

const NEW_HEX = "00112233445566778899aabbccddeeff9f8e7d6c5b4a39281706f5e4d3c2b1a0";
const NEXT_HEX = "c0ffee00112233445566778899aabbccddeeff9f8e7d6c5b4a39281706f5e4d3";
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const SLOTS: readonly SlotInfo[] = [
  { id: "a", kind: "env", label: "LANGO_MASTER_KEY" },
  { id: "b", kind: "env", label: "ENCRYPTION_KEY v0" },
  { id: "c", kind: "env" },
];

const obtain = (
  env: Record<string, string>,
  slots = SLOTS,
  skipAmbient: boolean | "or ENCRYPTION_KEY" = false,
) => createUnlocker(options(temporaryFolder(), { env, skipAmbient })).obtain(slots);

test("every version is handed over, the newest first, for the slots of ENCRYPTION_KEY alone", async () => {
  const { credential, skipped } = await obtain({
    ENCRYPTION_KEY_V0: KEY_HEX,
    ENCRYPTION_KEY: NEW_HEX,
    ENCRYPTION_KEY_VERSION: "1",
    ENCRYPTION_KEY_NEXT: NEXT_HEX,
  });
  expect(credential).toMatchObject({
    kind: "env",
    source: "ENCRYPTION_KEY_NEXT",
    slotLabel: "ENCRYPTION_KEY v2",
    ambient: false,
    slotIds: ["b"],
  });
  expect(hex(credential.secret)).toBe(NEXT_HEX);
  expect(
    credential.others?.map(({ source, slotLabel, secret }) => [source, slotLabel, hex(secret)]),
  ).toEqual([
    ["ENCRYPTION_KEY", "ENCRYPTION_KEY v1", NEW_HEX],
    ["ENCRYPTION_KEY_V0", "ENCRYPTION_KEY v0", KEY_HEX],
  ]);
  expect(skipped.at(-1)).toEqual({ source: "LANGO_MASTER_KEY", reason: "not set" });
});

test("LANGO_MASTER_KEY comes first, for the other slots of kind env", async () => {
  const { credential } = await obtain({ LANGO_MASTER_KEY: KEY_HEX, ENCRYPTION_KEY: NEW_HEX });
  expect(credential).toMatchObject({ source: "LANGO_MASTER_KEY", slotIds: ["a", "c"] });
  const only = SLOTS.filter(({ id }) => id === "b");
  const { credential: other, skipped } = await obtain(
    { LANGO_MASTER_KEY: KEY_HEX, ENCRYPTION_KEY: NEW_HEX },
    only,
  );
  expect(other.source).toBe("ENCRYPTION_KEY");
  expect(skipped.at(-1)).toEqual({
    source: "LANGO_MASTER_KEY",
    reason: "the vault has no env slot",
  });
});

test("an ENCRYPTION_KEY of another program opens nothing where the vault has no slot for it", async () => {
  const { hint } = await failureOf(obtain({ ENCRYPTION_KEY: "not even a key" }, [SLOTS[0]!]));
  expect(hint).toContain("ENCRYPTION_KEY: the vault has no ENCRYPTION_KEY slot");
});

test("files hold versions too, and are passed over where fresh consent is wanted", async () => {
  const home = temporaryFolder();
  const file = join(home, "v0");
  const version = join(home, "version");
  writeFileSync(file, `${KEY_HEX}\n`, { mode: 0o600 });
  writeFileSync(version, "1\n", { mode: 0o600 });
  const env = {
    ENCRYPTION_KEY: NEW_HEX,
    ENCRYPTION_KEY_V0_FILE: file,
    ENCRYPTION_KEY_VERSION_FILE: version,
  };
  const { credential } = await obtain(env);
  expect(credential.slotLabel).toBe("ENCRYPTION_KEY v1");
  expect(credential.others).toEqual([
    expect.objectContaining({ source: "ENCRYPTION_KEY_V0_FILE", ambient: true }),
  ]);
  expect((await obtain(env, SLOTS, true)).credential.others).toEqual([]);
  const { hint } = await failureOf(obtain({ ENCRYPTION_KEY_FILE: file }, SLOTS, true));
  expect(hint).toContain("ENCRYPTION_KEY_FILE: any process of this user could give it");
});

test("keys in files that are passed over are zeroed; for what changes the versions alone they count", async () => {
  const path = join(temporaryFolder(), "key");
  writeFileSync(path, KEY_HEX, { mode: 0o600 });
  const env = {
    ENCRYPTION_KEY: NEW_HEX,
    ENCRYPTION_KEY_VERSION: "1",
    ENCRYPTION_KEY_V0_FILE: path,
  };
  const typedArrays = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
  const { fill } = typedArrays;
  const zeroed: string[] = [];
  vi.spyOn(typedArrays, "fill").mockImplementation(function (this: Uint8Array, ...range) {
    zeroed.push(hex(this));
    return fill.apply(this, range) as never;
  });
  onTestFinished(() => void vi.restoreAllMocks());
  const strict = await obtain(env, SLOTS, true);
  expect(strict.credential.others).toEqual([]);
  expect(zeroed).toContain(KEY_HEX);
  zeroed.length = 0;
  const versions = await obtain(env, SLOTS, "or ENCRYPTION_KEY");
  expect(versions.credential.others).toMatchObject([
    { source: "ENCRYPTION_KEY_V0_FILE", ambient: true },
  ]);
  expect(zeroed).not.toContain(KEY_HEX);
  // Nothing else that lies about counts there.
  const home = temporaryFolder();
  writeFileSync(join(home, "passphrase"), "correct horse", { mode: 0o600 });
  const other = createUnlocker(options(home, { skipAmbient: "or ENCRYPTION_KEY" }));
  expect((await failureOf(other.obtain([{ id: "p", kind: "passphrase" }]))).code).toBe(
    "ERR_LOCKED",
  );
});

test("one key under two names is tried once", async () => {
  const env = { ENCRYPTION_KEY: KEY_HEX, ENCRYPTION_KEY_VERSION: "1", ENCRYPTION_KEY_V0: KEY_HEX };
  const { credential } = await obtain(env);
  expect(credential).toMatchObject({ source: "ENCRYPTION_KEY", others: [] });
});

test("whoami names all variables that would be tried", async () => {
  const unlocker = createUnlocker(
    options(temporaryFolder(), {
      env: { ENCRYPTION_KEY: NEW_HEX, ENCRYPTION_KEY_V0: KEY_HEX, ENCRYPTION_KEY_VERSION: "1" },
    }),
  );
  expect((await unlocker.describe(SLOTS)).slice(-2)).toEqual([
    { source: "LANGO_MASTER_KEY", state: "skipped", reason: "not set" },
    { source: "ENCRYPTION_KEY or ENCRYPTION_KEY_V0", state: "would use" },
  ]);
});

describe("versions that cannot be", () => {
  test.each<[Record<string, string>, RegExp]>([
    [{ ENCRYPTION_KEY_V0: KEY_HEX }, /^ENCRYPTION_KEY_V0 is set, but ENCRYPTION_KEY is not$/],
    [
      { ENCRYPTION_KEY_VERSION: "1", ENCRYPTION_KEY_NEXT: KEY_HEX },
      /^ENCRYPTION_KEY_NEXT, ENCRYPTION_KEY_VERSION are set, but ENCRYPTION_KEY is not$/,
    ],
    [{ ENCRYPTION_KEY: KEY_HEX, ENCRYPTION_KEY_VERSION: "1.5" }, /^ENCRYPTION_KEY_VERSION is no/],
    [{ ENCRYPTION_KEY: KEY_HEX, ENCRYPTION_KEY_VERSION: "-1" }, /^ENCRYPTION_KEY_VERSION is no/],
    [{ ENCRYPTION_KEY: KEY_HEX, ENCRYPTION_KEY_VERSION: "0x1" }, /^ENCRYPTION_KEY_VERSION is no/],
    [{ ENCRYPTION_KEY: KEY_HEX, ENCRYPTION_KEY_V00: NEW_HEX }, /^ENCRYPTION_KEY_V00 names no/],
    [{ ENCRYPTION_KEY: KEY_HEX, ENCRYPTION_KEY_V2: NEW_HEX }, /^ENCRYPTION_KEY_V2 is newer than/],
    [
      { ENCRYPTION_KEY: KEY_HEX, ENCRYPTION_KEY_VERSION: "3", ENCRYPTION_KEY_V0: NEW_HEX },
      /^ENCRYPTION_KEY_V1, ENCRYPTION_KEY_V2 are missing between/,
    ],
  ])("%j", async (env, problem) => {
    const { code, message } = await failureOf(obtain(env));
    expect(code).toBe("ERR_CONFIG");
    expect(message).toMatch(problem);
  });
});

test("a new vault gets the keys that are not older ones", async () => {
  const keys = await keysForNewVault({
    env: {
      LANGO_MASTER_KEY: NEXT_HEX,
      ENCRYPTION_KEY: NEW_HEX,
      ENCRYPTION_KEY_V0: KEY_HEX,
      ENCRYPTION_KEY_VERSION: "1",
    },
  });
  expect(keys.map(({ source, slotLabel, secret }) => [source, slotLabel, hex(secret)])).toEqual([
    ["LANGO_MASTER_KEY", "LANGO_MASTER_KEY", NEXT_HEX],
    ["ENCRYPTION_KEY", "ENCRYPTION_KEY v1", NEW_HEX],
  ]);
  expect(await keysForNewVault({ env: {} })).toEqual([]);
});

test("no version of it reaches a child", () => {
  const names = [
    "",
    "_FILE",
    "_VERSION",
    "_VERSION_FILE",
    "_NEXT",
    "_NEXT_FILE",
    "_V0",
    "_V12_FILE",
  ];
  const env = Object.fromEntries(names.map((end) => [`ENCRYPTION_KEY${end}`, "x"]));
  expect(withoutUnlockVariables({ ...env, ENCRYPTION_KEYS: "kept" })).toEqual({
    ENCRYPTION_KEYS: "kept",
  });
  expect(isUnlockVariable("encryption_key_v3")).toBe(true);
});

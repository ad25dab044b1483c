import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findVariableFaults, readConfiguredSecrets } from "../src/index.ts";
import { KEY_HEX, temporaryFolder, text } from "./support.ts";

const OTHER_HEX = "00112233445566778899aabbccddeeff9f8e7d6c5b4a39281706f5e4d3c2b1a0";
const TOKEN = "dGhpcyBpcyBhIGdvb2QgdG9rZW4h";
const faultsOf = async (env: Record<string, string>): Promise<string[]> =>
  (await findVariableFaults({ env })).map(({ problem }) => problem);

test("sound keys and tokens have no faults, whichever of their names is used", async () => {
  const env = {
    AUTHSOME_MASTER_KEY: KEY_HEX,
    ENCRYPTION_KEY: OTHER_HEX,
    ADMIN_TOKEN: TOKEN,
    AGENT_SERVER_TOKEN: "1".padStart(40, "ab"),
    AUTH_TOKEN: "1".padStart(40, "ab"),
    REDIS_URL: "rediss://:hunter2hunter2@redis-host:6379",
    DATABASE_URL: "postgres://lango@db/lango",
  };
  const { secrets, faults } = await readConfiguredSecrets({ env });
  expect(faults).toEqual([]);
  expect(secrets.map(({ name, variable }) => [name, variable])).toEqual([
    ["LANGO_MASTER_KEY", "AUTHSOME_MASTER_KEY"],
    ["ADMIN_TOKEN", "ADMIN_TOKEN"],
    ["AGENT_SERVER_TOKEN", "AGENT_SERVER_TOKEN"],
    ["REDIS_URL", "REDIS_URL"],
    ["ENCRYPTION_KEY", "ENCRYPTION_KEY"],
  ]);
  expect(text(secrets[3]!.secret)).toBe("hunter2hunter2");
});

test("every fault is named at once", async () => {
  const problems = await faultsOf({
    LANGO_MASTER_KEY: "short",
    ENCRYPTION_KEY: "0123456789abcdef0123456789abcdef",
    ENCRYPTION_KEY_V7: KEY_HEX,
    PLATOS_MESSAGE_ENCRYPTION_KEY: "00".repeat(32),
    ADMIN_TOKEN: "tooshort",
    AGENT_SERVER_TOKEN: "one-token-of-the-servers",
    AUTH_TOKEN: "another-token-of-theirs",
    LANGO_GATEWAY_TOKEN: "YourSecureRandomToken123456789",
  });
  expect(problems).toEqual([
    expect.stringMatching(/^ENCRYPTION_KEY_V7 is newer than ENCRYPTION_KEY, which has version 0$/),
    expect.stringMatching(/^LANGO_MASTER_KEY is not 64 .*: found 5 characters \(letters\)$/),
    expect.stringMatching(/^PLATOS_MESSAGE_ENCRYPTION_KEY is all zeros/),
    "ADMIN_TOKEN has 8 characters, fewer than 24",
    "AGENT_SERVER_TOKEN and AUTH_TOKEN are both set and differ",
    "LANGO_GATEWAY_TOKEN is known from documentation",
    expect.stringMatching(/^ENCRYPTION_KEY is not .*found 32 characters .*; 32 characters are 32/),
  ]);
});

describe("keys", () => {
  test.each([
    ["a1b2c3d4e5f6789012345678901234567890abcdef1234567890abcdef123456", /known from doc/],
    ["0123456789abcdef".repeat(4), /known from doc/],
    ["ab".repeat(32), /short pattern/],
    ["deadbeef".repeat(8), /short pattern/],
    [KEY_HEX.toUpperCase(), /capital letters/],
    [KEY_HEX.slice(1), /odd number of hexadecimal/],
    [`${KEY_HEX} `, /found 65 characters/],
    ["z".repeat(64), /found 64 characters/],
  ])("%s is refused", async (value, problem) => {
    const [first, ...others] = await faultsOf({ ENCRYPTION_KEY: value });
    expect(first).toMatch(problem);
    expect(others).toEqual([]);
  });
  test("may be base64 of 32 bytes", async () => {
    const value = Buffer.from(KEY_HEX, "hex").toString("base64");
    expect(await faultsOf({ ENCRYPTION_KEY: value })).toEqual([]);
  });
});

describe("one value for two purposes", () => {
  test.each<[Record<string, string>, string | undefined]>([
    [
      { LANGO_MASTER_KEY: KEY_HEX, ENCRYPTION_KEY: KEY_HEX },
      "LANGO_MASTER_KEY and ENCRYPTION_KEY hold the same, but each needs its own",
    ],
    [
      { ENCRYPTION_KEY: KEY_HEX, ADMIN_TOKEN: Buffer.from(KEY_HEX, "hex").toString("base64") },
      "ADMIN_TOKEN and ENCRYPTION_KEY hold the same, but each needs its own",
    ],
    [
      { ENCRYPTION_KEY: KEY_HEX, ENCRYPTION_KEY_VERSION: "1", ENCRYPTION_KEY_V0: KEY_HEX },
      "ENCRYPTION_KEY and ENCRYPTION_KEY_V0 hold the same, but each needs its own",
    ],
    [
      { ENCRYPTION_KEY: KEY_HEX, ENCRYPTION_KEY_NEXT: KEY_HEX },
      "ENCRYPTION_KEY_NEXT and ENCRYPTION_KEY hold the same, but each needs its own",
    ],
    // The first step of the seed's rotation: the key of today, kept under its number.
    [{ ENCRYPTION_KEY: KEY_HEX, ENCRYPTION_KEY_V0: KEY_HEX }, undefined],
    [
      { ENCRYPTION_KEY: KEY_HEX, ENCRYPTION_KEY_V0: OTHER_HEX },
      "ENCRYPTION_KEY and ENCRYPTION_KEY_V0 are of the same version and differ",
    ],
    [
      { ADMIN_TOKEN: TOKEN, LANGO_GATEWAY_TOKEN: TOKEN },
      "ADMIN_TOKEN and LANGO_GATEWAY_TOKEN hold the same, but each needs its own",
    ],
  ])("%j", async (env, problem) => {
    expect(await faultsOf(env)).toEqual(problem === undefined ? [] : [problem]);
  });
});

test("files are judged like those that open a vault; a path that leads nowhere is a fault", async () => {
  const home = temporaryFolder();
  const file = join(home, "token");
  writeFileSync(file, `${TOKEN}\n`, { mode: 0o600 });
  expect(await faultsOf({ ADMIN_TOKEN_FILE: file })).toEqual([]);
  expect(await faultsOf({ ADMIN_TOKEN_FILE: file, ADMIN_TOKEN: TOKEN })).toEqual([]);
  chmodSync(file, 0o644);
  expect(await faultsOf({ ADMIN_TOKEN_FILE: file, ENCRYPTION_KEY_FILE: join(home, "no") })).toEqual(
    [
      `ADMIN_TOKEN_FILE ${file} has mode 0644: others may read or change it`,
      `ENCRYPTION_KEY_FILE names ${join(home, "no")}, which does not exist`,
    ],
  );
});

test("the gateway's token of the configuration is the same thing as its variable", async () => {
  const options = { env: { OPENCLAW_GATEWAY_TOKEN: TOKEN } };
  expect(await findVariableFaults({ ...options, gatewayToken: TOKEN })).toEqual([]);
  expect(await findVariableFaults({ ...options, gatewayToken: `${TOKEN}x` })).toEqual([
    {
      variables: ["OPENCLAW_GATEWAY_TOKEN", "gateway.auth.token"],
      problem: "OPENCLAW_GATEWAY_TOKEN and gateway.auth.token are both set and differ",
      hint: "Unset one of them",
    },
  ]);
});

test("only faults that have to do with what a command uses", async () => {
  const env = { ADMIN_TOKEN: "short", ENCRYPTION_KEY: "short", LANGO_MASTER_KEY: KEY_HEX };
  const faults = await findVariableFaults({ env }, (name) => name === "ADMIN_TOKEN");
  expect(faults.map(({ variables }) => variables)).toEqual([["ADMIN_TOKEN"]]);
});

const NAMES = [
  "LANGO_MASTER_KEY",
  "AUTHSOME_MASTER_KEY",
  "ENCRYPTION_KEY",
  "ENCRYPTION_KEY_VERSION",
  "ENCRYPTION_KEY_NEXT",
  "ENCRYPTION_KEY_V0",
  "ENCRYPTION_KEY_V3",
  "ENCRYPTION_KEY_V007",
  "LANGO_MESSAGE_ENCRYPTION_KEY",
  "PLATOS_MESSAGE_ENCRYPTION_KEY_NEXT",
  "ADMIN_TOKEN",
  "AUTH_TOKEN",
  "LANGO_GATEWAY_TOKEN",
  "REDIS_URL",
] as const;

test("whatever is set: no crash, no value in a fault, and no key that is not 32 bytes", async () => {
  const malformed = fc.oneof(
    fc.string({ minLength: 9, maxLength: 80, unit: "grapheme-ascii" }),
    fc.string({ minLength: 9, maxLength: 80, unit: "binary" }),
    fc.uint8Array({ minLength: 9, maxLength: 48 }).map((b) => Buffer.from(b).toString("hex")),
    fc.uint8Array({ minLength: 9, maxLength: 48 }).map((b) => Buffer.from(b).toString("base64")),
    fc.nat({ max: 9 }).map(String),
  );
  const set = fc.dictionary(fc.constantFrom(...NAMES), malformed, { maxKeys: 6 });
  const own = (await faultsOf({})).join();
  expect(own).toBe("");
  await fc.assert(
    fc.asyncProperty(set, async (env) => {
      const { secrets, faults } = await readConfiguredSecrets({ env });
      for (const { name, secret } of secrets) {
        if (name.includes("KEY")) expect(secret).toHaveLength(32);
      }
      const told = JSON.stringify(faults);
      for (const value of Object.values(env)) {
        if (value.length >= 9 && !/^[ A-Z_]*$/.test(value)) {
          expect(told).not.toContain(JSON.stringify(value).slice(1, -1));
        }
      }
    }),
  );
});

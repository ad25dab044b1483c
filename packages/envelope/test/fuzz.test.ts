import { isCryptoError } from "@lango/crypto-core";
import {
  buildKeyslots,
  createSlot,
  open,
  openValue,
  parseJsonStrict,
  parseKeyslots,
  readStreamHeader,
  readValueHeader,
  seal,
  sealStream,
  sealValue,
  serializeKeyslots,
} from "@lango/envelope";
import { describe, expect, it } from "vitest";
import { createStreamOpener, STREAM_HEADER_BYTES } from "../src/stream.ts";
import { localKeys, recipient, resolver } from "./providers.ts";
import { bytes, pattern, testKey, text, through, toHex, torture } from "./support.ts";

const INPUTS = torture(20_000, 1_000_000);
// 1,000,000 inputs take minutes.
const TIMEOUT_MS = torture(60_000, 3_600_000);

/** A small generator with a seed (xorshift32), so that a failing input can be made again. */
const generator = (seed: number) => {
  let state = seed;
  return (below: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
};

/** A valid input with a few changes, or, one time in four, noise. */
const mutate = (valid: readonly Uint8Array[], random: (below: number) => number): Uint8Array => {
  if (random(4) === 0) return Uint8Array.from({ length: random(300) }, () => random(256));
  let input = Buffer.from(valid[random(valid.length)]!);
  for (let change = random(4); change >= 0; change--) {
    const at = random(input.length + 1);
    const length = random(9);
    const noise = Buffer.from(Array.from({ length }, () => random(256)));
    switch (random(6)) {
      case 0:
        if (at < input.length) input[at] = input[at]! ^ (1 << random(8));
        break;
      case 1:
        input = input.subarray(0, at);
        break;
      case 2:
        input = Buffer.concat([input.subarray(0, at), noise, input.subarray(at)]);
        break;
      case 3:
        input = Buffer.concat([input.subarray(0, at), input.subarray(at + length)]);
        break;
      case 4:
        // Lengths and counts at their extremes.
        input.fill(random(2) === 0 ? 0xff : 0, at, Math.min(at + length, input.length));
        break;
      default:
        input = Buffer.concat([input.subarray(0, at), input.subarray(random(at + 1))]);
    }
  }
  return input;
};

/** Feeds a parser; every failure must be typed. A hang ends at the test's timeout. */
const fuzz = async (
  valid: readonly Uint8Array[],
  parse: (input: Uint8Array) => unknown,
): Promise<Map<string, number>> => {
  const seed = Number(process.env["LANGO_FUZZ_SEED"] ?? (Date.now() & 0x7fffffff) + 1);
  const random = generator(seed);
  const outcomes = new Map<string, number>();
  const before = process.memoryUsage().rss;
  for (let i = 0; i < INPUTS; i++) {
    const input = mutate(valid, random);
    let outcome = "opened";
    try {
      await parse(input);
    } catch (error) {
      if (!isCryptoError(error)) {
        throw new Error(`LANGO_FUZZ_SEED=${seed}, input ${i}: ${toHex(input)}`, { cause: error });
      }
      outcome = error.code;
    }
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  expect(process.memoryUsage().rss - before).toBeLessThan(512 * 1_024 * 1_024);
  return outcomes;
};

/** The rig must reach both sides of the parser. */
const expectBoth = (outcomes: Map<string, number>, ...codes: string[]): void => {
  expect([...outcomes.keys()].sort()).toEqual(expect.arrayContaining(codes));
};

describe("parsers under mutated and random input", () => {
  it("LNG1", { timeout: TIMEOUT_MS }, async () => {
    const key = testKey();
    const valid = [0, 1, 40].map((size) => sealValue(key, pattern(size), text("aad")));
    const outcomes = await fuzz(valid, (input) => {
      readValueHeader(input);
      openValue(key, input, text("aad"));
    });
    expectBoth(outcomes, "ERR_MALFORMED_ENVELOPE", "ERR_DECRYPTION_FAILED");
  });

  it("LNGS", { timeout: TIMEOUT_MS }, async () => {
    const key = testKey();
    const valid = await Promise.all(
      [0, 1, 40].map((size) => through(sealStream(key, text("aad")), [pattern(size)])),
    );
    const outcomes = await fuzz(valid, (input) => {
      readStreamHeader(input);
      const opener = createStreamOpener(key, text("aad"), input.subarray(0, STREAM_HEADER_BYTES));
      opener.push(input.subarray(STREAM_HEADER_BYTES));
      opener.end();
    });
    expectBoth(outcomes, "ERR_MALFORMED_ENVELOPE", "ERR_DECRYPTION_FAILED");
  });

  it("LNGR", { timeout: TIMEOUT_MS }, async () => {
    const provider = localKeys("alpha", "beta");
    const recipients = [recipient(provider, "alpha"), recipient(provider, "beta")];
    const valid = await Promise.all(
      [1, 2].map((count) =>
        seal({ plaintext: text("value"), recipients: recipients.slice(0, count) }),
      ),
    );
    const resolve = resolver({ "local:alpha": recipients[0]!, "local:beta": recipients[1]! });
    const outcomes = await fuzz(valid, (sealed) => open({ sealed, resolve }));
    expectBoth(outcomes, "ERR_MALFORMED_ENVELOPE", "ERR_DECRYPTION_FAILED", "ERR_KEY_NOT_FOUND");
  });

  it("keyslots", { timeout: TIMEOUT_MS }, async () => {
    const vaultKey = bytes(32, 1);
    const vaultId = bytes(16, 2);
    const kdf = {
      name: "argon2id",
      memoryKiB: 8,
      iterations: 1,
      parallelism: 1,
      salt: bytes(16),
    } as const;
    const slots = [
      await createSlot(vaultKey, vaultId, {
        kind: "passphrase",
        passphrase: text("12345678"),
        kdf,
      }),
      await createSlot(vaultKey, vaultId, { kind: "env", key: bytes(32), label: "ci" }),
    ];
    const valid = serializeKeyslots(
      buildKeyslots(vaultKey, { vaultId: toHex(vaultId), generation: 1, slots }),
    );
    const outcomes = await fuzz([valid], parseKeyslots);
    expectBoth(outcomes, "ERR_INTEGRITY", "ERR_MALFORMED_ENVELOPE");
  });

  it("JSON", { timeout: TIMEOUT_MS }, async () => {
    const valid = ['{"a":[1,-2.5e3,"\\u00e9",{"b":null,"c":true}],"d":"x"}', "[[[[]]],{}]"].map(
      text,
    );
    const outcomes = await fuzz(valid, (input) => parseJsonStrict(input, { maxBytes: 1_000 }));
    expectBoth(outcomes, "opened", "ERR_MALFORMED_ENVELOPE");
  });
});

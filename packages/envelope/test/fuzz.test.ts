import { isCryptoError } from "@lango/crypto-core";
import {
  buildKeyslots,
  createSlot,
  deriveVaultKeys,
  open,
  openValue,
  parseJsonStrict,
  parseKeyslots,
  readStreamHeader,
  readValueHeader,
  seal,
  sealInherited,
  sealStream,
  sealValue,
  serializeKeyslots,
} from "@lango/envelope";
import { describe, expect, it } from "vitest";
import { FUZZ_TIMEOUT_MS, fuzz } from "../../../tooling/vitest/fuzz.ts";
import { createStreamOpener, STREAM_HEADER_BYTES } from "../src/stream.ts";
import { localKeys, recipient, resolver } from "./providers.ts";
import { bytes, pattern, testKey, text, through, toHex } from "./support.ts";

const rig = (
  name: string,
  valid: readonly Uint8Array[],
  parse: (input: Uint8Array) => unknown,
): Promise<Map<string, number>> =>
  fuzz({ name, valid, parse, codeOf: (error) => (isCryptoError(error) ? error.code : undefined) });

/** The rig must reach both sides of the parser. */
const expectBoth = (outcomes: Map<string, number>, ...codes: string[]): void => {
  expect([...outcomes.keys()].sort()).toEqual(expect.arrayContaining(codes));
};

describe("parsers under mutated and random input", () => {
  it("LNG1", { timeout: FUZZ_TIMEOUT_MS }, async () => {
    const key = testKey();
    const valid = [0, 1, 40].map((size) => sealValue(key, pattern(size), text("aad")));
    const outcomes = await rig("LNG1", valid, (input) => {
      readValueHeader(input);
      openValue(key, input, text("aad"));
    });
    expectBoth(outcomes, "ERR_MALFORMED_ENVELOPE", "ERR_DECRYPTION_FAILED");
  });

  it("LNGS", { timeout: FUZZ_TIMEOUT_MS }, async () => {
    const key = testKey();
    const valid = await Promise.all(
      [0, 1, 40].map((size) => through(sealStream(key, text("aad")), [pattern(size)])),
    );
    const outcomes = await rig("LNGS", valid, (input) => {
      readStreamHeader(input);
      const opener = createStreamOpener(key, text("aad"), input.subarray(0, STREAM_HEADER_BYTES));
      opener.push(input.subarray(STREAM_HEADER_BYTES));
      opener.end();
    });
    expectBoth(outcomes, "ERR_MALFORMED_ENVELOPE", "ERR_DECRYPTION_FAILED");
  });

  it("LNGR", { timeout: FUZZ_TIMEOUT_MS }, async () => {
    const provider = localKeys("alpha", "beta");
    const recipients = [recipient(provider, "alpha"), recipient(provider, "beta")];
    const valid = await Promise.all(
      [1, 2].map((count) =>
        seal({ plaintext: text("value"), recipients: recipients.slice(0, count) }),
      ),
    );
    const resolve = resolver({ "local:alpha": recipients[0]!, "local:beta": recipients[1]! });
    const outcomes = await rig("LNGR", valid, (sealed) => open({ sealed, resolve }));
    expectBoth(outcomes, "ERR_MALFORMED_ENVELOPE", "ERR_DECRYPTION_FAILED", "ERR_KEY_NOT_FOUND");
  });

  it("keyslots", { timeout: FUZZ_TIMEOUT_MS }, async () => {
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
      await createSlot(vaultKey, vaultId, { kind: "env", key: bytes(32, 7), label: "ci" }),
    ];
    const keys = deriveVaultKeys(vaultKey, vaultId);
    const inherited = sealInherited(keys.wrap, vaultId, {
      ...{ rows: keys.rows.current, formerRows: keys.slotFile },
      ...{ approvals: keys.approvals, database: keys.slotFile, formerDatabase: keys.slotFile },
    });
    const content = { vaultId: toHex(vaultId), generation: 1, slots };
    const valid = [content, { ...content, inherited }].map((each) =>
      serializeKeyslots(buildKeyslots(vaultKey, each)),
    );
    const outcomes = await rig("keyslots", valid, (input) => {
      const parsed = parseKeyslots(input);
      deriveVaultKeys(vaultKey, vaultId, parsed.inherited).destroy();
    });
    expectBoth(outcomes, "ERR_INTEGRITY", "ERR_MALFORMED_ENVELOPE");
  });

  it("JSON", { timeout: FUZZ_TIMEOUT_MS }, async () => {
    const valid = ['{"a":[1,-2.5e3,"\\u00e9",{"b":null,"c":true}],"d":"x"}', "[[[[]]],{}]"].map(
      text,
    );
    const outcomes = await rig("JSON", valid, (input) =>
      parseJsonStrict(input, { maxBytes: 1_000 }),
    );
    expectBoth(outcomes, "opened", "ERR_MALFORMED_ENVELOPE");
  });
});

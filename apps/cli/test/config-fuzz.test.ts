import { isCryptoError, utf8 } from "@lango/crypto-core";
import { parseJsonStrict } from "@lango/envelope";
import { expect, it } from "vitest";
import { FUZZ_TIMEOUT_MS, fuzz } from "../../../tooling/vitest/fuzz.ts";
import { DEFAULTS } from "../src/config/defaults.ts";
import { validateConfig } from "../src/config/validate.ts";

it("config.json under mutated and random input: a configuration or one typed line", {
  timeout: FUZZ_TIMEOUT_MS,
}, async () => {
  const valid = [DEFAULTS, DEFAULTS.security, { security: { signer: { provider: "local" } } }, {}];
  const outcomes = await fuzz({
    name: "config.json",
    valid: valid.map((value) => utf8(JSON.stringify(value))),
    parse: (input) =>
      validateConfig(parseJsonStrict(input, { maxBytes: 1024 * 1024 }), "config.json"),
    codeOf: (error) =>
      isCryptoError(error) && !error.message.includes("\n") ? error.code : undefined,
  });
  expect([...outcomes.keys()].sort()).toEqual(["ERR_CONFIG", "ERR_MALFORMED_ENVELOPE", "opened"]);
});

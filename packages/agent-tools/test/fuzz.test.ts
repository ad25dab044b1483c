import { ERROR_CODES, isCryptoError } from "@lango/crypto-core";
import type { GuardedTool, JsonObject } from "@lango/guard";
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/server/validators/ajv";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { count, report, torture } from "../../../tooling/vitest/torture.ts";
import { API_KEY, rig, WALLET_KEY } from "./rig.ts";

const RUNS = torture(20_000, 1_000_000);
/** Stands in hostile values, and may not come back in an error. */
const CANARY = "canary-51f0c2a9";

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.base64String({ maxLength: 400 }),
  fc.constantFrom(
    ...["", "default", "local:default", "api/key", "wallet/main", "../../etc/passwd", "a..b", "/a"],
    ...[CANARY, `${CANARY}\u001b[2J`, `{{secret:${CANARY}}}`, "{{secret:api/key}}", "\ud800"],
    ...["__proto__", "constructor", "aws-kms:alias/x", "file:///etc/passwd", "local:", "pkcs11:x"],
    ...["utf8", "base64", "reference", "plaintext", "sha256", "md5", "api.example.com:443"],
    `${"x".repeat(2000)}${CANARY}`,
  ),
);
const value = fc.oneof(
  { weight: 5, arbitrary: text },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  { weight: 1, arbitrary: fc.anything({ maxDepth: 2 }) },
  { weight: 1, arbitrary: fc.integer() },
);
const NAMES = [
  ...["name", "value", "data", "keyId", "encoding", "algorithm", "signature", "output"],
  ...["tool", "destination", "uses", "minutes", "reason", CANARY, "__proto__"],
];
const wild = fc.oneof(
  { weight: 12, arbitrary: fc.dictionary(fc.constantFrom(...NAMES), value, { maxKeys: 4 }) },
  { weight: 1, arbitrary: fc.anything({ maxDepth: 3 }) },
);

/** A tool with arguments: mostly its own parameters with hostile values, some of them well chosen; else anything. */
const callOf = (tools: readonly GuardedTool[]): fc.Arbitrary<readonly [GuardedTool, unknown]> =>
  fc.constantFrom(...tools).chain((tool) => {
    const { properties, required } = tool.definition.inputSchema as unknown as {
      readonly properties: Readonly<Record<string, { readonly enum?: readonly string[] }>>;
      readonly required: readonly string[];
    };
    const own = fc.record(
      Object.fromEntries(
        Object.entries(properties).map(([name, schema]) => [
          name,
          schema.enum === undefined
            ? fc.oneof({ weight: 8, arbitrary: text }, { weight: 1, arbitrary: value })
            : fc.oneof(
                { weight: 8, arbitrary: fc.constantFrom(...schema.enum) },
                {
                  weight: 1,
                  arbitrary: value,
                },
              ),
        ]),
      ),
      { requiredKeys: [...required] as never },
    );
    return fc.tuple(
      fc.constant(tool),
      fc.oneof({ weight: 3, arbitrary: own }, { weight: 1, arbitrary: wild }),
    );
  });

test.each([
  ["nobody approves anything", undefined],
  ["everything is approved", () => true],
])(
  `${RUNS / 2} hostile calls where %s: a result, or an error with a code that repeats nothing`,
  async (name, answer) => {
    const { tools } = await rig(answer === undefined ? {} : { answer });
    // To store is to write to the disk each time; its checks are tried below, against a validator.
    const tried = tools.filter(({ definition }) => definition.name !== "secrets.store");
    const codes = new Map<string, number>();
    for (const [tool, given] of fc.sample(callOf(tried), { numRuns: RUNS / 2, seed: 20261122 })) {
      const { code, seen } = await outcomeOf(tool.call(given));
      count(codes, code);
      if (code !== "ok") expect(seen).not.toContain(CANARY);
      expect(seen).not.toContain(API_KEY);
      expect(seen).not.toContain(WALLET_KEY);
    }
    // The fuzz reaches what lies behind the checks, too.
    for (const code of ["ok", "ERR_INVALID_ARGUMENT", "ERR_KEY_NOT_FOUND"]) {
      expect(codes.get(code) ?? 0, code).toBeGreaterThan(20);
    }
    report(`hostile calls of tools where ${name}`, codes);
  },
  torture(600_000, 3_600_000),
);

/** What a call came to: `ok` or the code of its error, and all that can be seen of it. */
const outcomeOf = async (call: Promise<unknown>): Promise<{ code: string; seen: string }> => {
  try {
    const result = await call;
    expect(typeof result).toBe("object");
    return { code: "ok", seen: JSON.stringify(result) };
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    expect(Object.keys(ERROR_CODES)).toContain(error.code);
    expect(error.code).not.toBe("ERR_INTERNAL");
    expect(error.message).not.toContain("\n");
    const seen = `${error.message} ${JSON.stringify(error.context)} ${error.cause ?? ""}`;
    return { code: error.code, seen };
  }
};

test("the check of arguments and the schema say the same, as an independent validator reads it", async () => {
  const { tools } = await rig();
  const validator = new AjvJsonSchemaValidator();
  for (const { definition } of tools) {
    const isValid = validator.getValidator(definition.inputSchema);
    const names = Object.keys(definition.inputSchema["properties"] as object);
    const object = fc.dictionary(
      fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom(...(names.length ? names : ["x"])) },
        { weight: 1, arbitrary: fc.string() },
      ),
      fc.oneof(
        { weight: 6, arbitrary: text },
        { weight: 1, arbitrary: fc.jsonValue() },
        {
          weight: 1,
          arbitrary: fc.integer({ min: -1, max: 1500 }),
        },
      ),
      { maxKeys: 5 },
    );
    await fc.assert(
      fc.asyncProperty(object, async (given) => {
        let accepts = true;
        try {
          definition.check?.(given as JsonObject);
        } catch {
          accepts = false;
        }
        // A schema cannot say that what it does not declare may also not be inherited.
        if (Object.hasOwn(given, "__proto__")) return;
        expect(accepts, JSON.stringify(given)).toBe(isValid(given).valid);
      }),
      { numRuns: 1000 },
    );
  }
});

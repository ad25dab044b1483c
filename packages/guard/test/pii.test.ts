import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createPiiRedactor, type PiiName } from "../src/index.ts";

const ALL: readonly PiiName[] = [
  "email",
  "us_phone",
  "kr_mobile",
  "kr_landline",
  "intl_phone",
  "kr_rrn",
  "us_ssn",
  "kr_driver",
  "passport",
  "credit_card",
  "kr_bank_account",
  "iban",
  "ipv4",
];
const only = (name: PiiName) =>
  createPiiRedactor({ enable: [name], disable: ALL.filter((each) => each !== name) });

const CASES: readonly [PiiName, readonly string[], readonly string[]][] = [
  [
    "email",
    ["ada@example.org", "a.b+c%d@mail.example.co.uk"],
    ["ada@example", "@example.org", "a@b.c"],
  ],
  [
    "us_phone",
    [
      "555-123-4567",
      "(555) 123-4567",
      "(555)123-4567",
      "555 123 4567",
      "555.123.4567",
      "+1-555-123-4567",
    ],
    ["5551234567", "1555-123-4567", "555-123-45678", "2025-555-123-4567"],
  ],
  [
    "kr_mobile",
    ["010-1234-5678", "01012345678", "016 123 4567"],
    ["012-1234-5678", "010-1234-56789"],
  ],
  ["kr_landline", ["02-123-4567", "031-1234-5678", "0212345678"], ["08-123-4567", "02-123-45678"]],
  ["intl_phone", ["+82 10 1234 5678", "+49-30-1234-567"], ["82 10 1234 5678", "+1"]],
  [
    "kr_rrn",
    ["900101-1234567", "900101-5234567", "900101-8234567", "9001011234568"],
    ["901301-1234567", "900132-1234567", "900101-9234567", "9001011234567", "1763788800000"],
  ],
  [
    "us_ssn",
    ["123-45-6789"],
    ["000-45-6789", "666-45-6789", "923-45-6789", "123-00-6789", "123-45-0000", "123456789"],
  ],
  ["kr_driver", ["11-22-333333-44"], ["11-22-33333-44"]],
  ["passport", ["M12345678", "AB1234567"], ["ABC1234567", "M123456", "m12345678"]],
  [
    "credit_card",
    [
      "4111 1111 1111 1111",
      "4111111111111111",
      "4222222222222",
      "5555-5555-5555-4444",
      "2221 0000 0000 0009",
      "2720 9999 9999 9996",
      "3782 822463 10005",
      "378282246310005",
      "6011 1111 1111 1117",
      "3530 1113 3330 0000",
      "3056 930902 5904",
    ],
    ["4111 1111 1111 1112", "1234 5678 9012 3452", "41111111111111111", "2220 0000 0000 0000"],
  ],
  ["kr_bank_account", ["123-456789-01", "1234-56-789012"], ["123-45-6789", "12-456789-01"]],
  [
    "iban",
    ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "NO9386011117947"],
    ["DE88370400440532013000", "DE89"],
  ],
  ["ipv4", ["192.168.0.1", "8.8.8.8"], ["256.1.1.1", "1.2.3", "1.2.3.4.5"]],
];

describe("personal data", () => {
  it.each(CASES)("%s", (name, good, bad) => {
    const redactor = only(name);
    for (const text of good) {
      expect(redactor.redact(`한글 ${text}, and`).text, text).toBe("한글 [REDACTED], and");
      expect(redactor.find(text)).toMatchObject([{ name, start: 0, end: text.length }]);
    }
    for (const text of bad) expect(redactor.redact(`x ${text} y`).text, text).toBe(`x ${text} y`);
  });

  it("covers every pattern that is built in", () =>
    expect(CASES.map(([name]) => name)).toEqual(ALL));

  it("finds a number among numbers", () => {
    const redactor = only("credit_card");
    expect(redactor.redact("12 4111 1111 1111 1111 2027").text).toBe("12 [REDACTED] 2027");
    expect(redactor.redact("4111 1111 1111 1111 4111 1111 1111 1111").text).toBe(
      "[REDACTED] [REDACTED]",
    );
    expect(only("iban").redact("IBAN DE89 3704 0044 0532 0130 00 BIC COBADEFF").text).toBe(
      "IBAN [REDACTED] BIC COBADEFF",
    );
  });

  it("is what the seed turns on, unless asked otherwise", () => {
    const text = "ada@example.org 192.168.0.1 M12345678 123-45-6789";
    expect(createPiiRedactor().redact(text).text).toBe(
      "[REDACTED] 192.168.0.1 M12345678 [REDACTED]",
    );
    const asked = createPiiRedactor({ enable: ["ipv4"], disable: ["email"], replacement: "*" });
    expect(asked.redact(text).text).toBe("ada@example.org * M12345678 *");
  });

  it("gives places by which the text can be cut, and leaves the rest as it is", () => {
    const redactor = createPiiRedactor({ enable: ALL });
    const text = fc.string({
      unit: fc.constantFrom(..."0123456789-. ()+@aZ한😀".split(""), "4111 1111 1111 1111"),
    });
    fc.assert(
      fc.property(text, (each) => {
        const { text: output, findings } = redactor.redact(each);
        for (const { start, end } of findings) expect(end).toBeGreaterThan(start);
        const kept = output.split("[REDACTED]");
        let from = 0;
        for (const part of kept) {
          const at = each.indexOf(part, from);
          expect(at).toBeGreaterThanOrEqual(from);
          from = at + part.length;
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("takes a time that grows with the text and no more", () => {
    const redactor = createPiiRedactor({ enable: ALL });
    for (const unit of ["1", "1 ", "1-", "a", "a.", "a@", "A1", "+1", "(555) ", "1.1."]) {
      // A pattern that is not linear would need hours for the last of these.
      for (const length of [1000, 200_000]) redactor.find(unit.repeat(length / unit.length));
    }
  });
});

describe("custom patterns", () => {
  it("are found under their names", () => {
    const custom = Object.fromEntries(
      Array.from({ length: 12 }, (_, i) => [`custom_${i}`, `tag${i}x`]),
    );
    const redactor = createPiiRedactor({ custom });
    const found = redactor.find("tag3x tag11x");
    expect(found.map(({ name, category }) => [name, category])).toEqual([
      ["custom_3", "custom"],
      ["custom_11", "custom"],
    ]);
    expect(createPiiRedactor({ custom: { wide: "[😀-😎]" } }).redact("a😀b").text).toBe(
      "a[REDACTED]b",
    );
  });

  it("that cannot be used are refused, not skipped", () => {
    const refused = expect.objectContaining({ code: "ERR_CONFIG" });
    for (const source of ["(", "a*", ""]) {
      expect(() => createPiiRedactor({ custom: { bad: source } })).toThrow(refused);
    }
    expect(() => createPiiRedactor({ enable: ["nothing" as PiiName] })).toThrow(refused);
  });

  it("that backtrack without end are stopped, and nothing is given out", () => {
    const redactor = createPiiRedactor({ custom: { slow: "(a+)+$" }, customTimeoutMs: 300 });
    expect(redactor.redact("aaaa").text).toBe("[REDACTED]");
    expect(() => redactor.redact(`${"a".repeat(60)}b`)).toThrow(
      expect.objectContaining({
        code: "ERR_CONFIG",
        message: "The pattern slow took more than 300 ms",
      }),
    );
  });
});

it("a custom pattern that matches a place and no text replaces nothing", () => {
  const { redact } = createPiiRedactor({ custom: { place: "(?=b)|cc" } });
  expect(redact("abcc").text).toBe("ab[REDACTED]");
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { formatKeyId, parseKeyId } from "../src/uri.ts";

test("a bare label is a label, with an equals sign in it too", () => {
  expect(parseKeyId("lango-signing-key")).toEqual({ object: "lango-signing-key" });
  expect(parseKeyId("My Key = 1")).toEqual({ object: "My Key = 1" });
});

test("attributes of RFC 7512, in any order", () => {
  expect(parseKeyId("type=private;id=%01%2a;object=my%20key;token=t1;serial=00ab")).toEqual({
    token: "t1",
    serial: "00ab",
    object: "my key",
    id: "012a",
    type: "private",
  });
  expect(parseKeyId("model=SoftHSM%20v2;manufacturer=SoftHSM%20project;id=abc")).toEqual({
    model: "SoftHSM v2",
    manufacturer: "SoftHSM project",
    id: "616263",
  });
});

test.each([
  ["token=t1", "names no key"],
  ["object=a;object=b", "twice"],
  ["object=a;", "no attribute"],
  ["object=a;colour=red", "unknown attribute"],
  ["object=a;__proto__=x", "unknown attribute"],
  ["object=", "ill-formed object"],
  ["object=%zz", "ill-formed object"],
  ["object=a b;id=%01", "ill-formed object"],
  ["object=%ff", "ill-formed object"],
  ["id=", "empty id"],
  ["id=%1", "ill-formed id"],
  ["object=a;type=cert", "type"],
  ["object=a?pin-value=1234", "ill-formed object"],
  ["pin-value=1234;object=a", "unknown attribute"],
])("%s is refused: %s", (keyId, fault) => {
  expect(() => parseKeyId(keyId)).toThrow(
    expect.objectContaining({
      code: "ERR_INVALID_ARGUMENT",
      message: expect.stringContaining(fault),
    }),
  );
  expect(() => parseKeyId(keyId)).not.toThrow("1234");
});

test("what is formatted is parsed to the same", () => {
  const text = fc.string({ minLength: 1, unit: "grapheme" });
  const id = fc.uint8Array({ minLength: 1 }).map((bytes) => Buffer.from(bytes).toString("hex"));
  const type = fc.constantFrom("private" as const, "secret-key" as const);
  fc.assert(
    fc.property(fc.record({ token: text, serial: text, object: text, id, type }), (name) => {
      expect(parseKeyId(formatKeyId(name))).toEqual(name);
    }),
  );
});

test("whatever comes in is a name or ERR_INVALID_ARGUMENT", () => {
  const piece = fc.constantFrom(
    "object=",
    "id=",
    "token=",
    ";",
    "%",
    "%41",
    "=",
    "a",
    "type=private",
  );
  const input = fc.oneof(
    fc.string(),
    fc.array(piece).map((pieces) => pieces.join("")),
  );
  fc.assert(
    fc.property(input, (keyId) => {
      try {
        const { object, id } = parseKeyId(keyId);
        expect(object ?? id).toBeDefined();
      } catch (error) {
        expect(error).toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
      }
    }),
    { numRuns: 2000 },
  );
});

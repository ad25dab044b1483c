import { crc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checksumOf, IntegrityMismatch, verifiedBytes, verifyChecksum } from "../src/checksum.ts";
import { crc } from "./stand-in/crc.ts";

describe("CRC-32C", () => {
  // RFC 3720 appendix B.4; the RFC prints the bytes of the checksum, least significant first.
  const vectors: readonly [string, Uint8Array, string][] = [
    ["32 bytes of zeroes", new Uint8Array(32), "aa36918a"],
    ["32 bytes of ones", new Uint8Array(32).fill(0xff), "43aba862"],
    ["32 bytes of incrementing 00..1f", Uint8Array.from({ length: 32 }, (_, i) => i), "4e79dd46"],
    [
      "32 bytes of decrementing 1f..00",
      Uint8Array.from({ length: 32 }, (_, i) => 31 - i),
      "5cdb3f11",
    ],
    [
      "an iSCSI SCSI Read (10) command PDU",
      Buffer.from(
        "01c00000000000000000000000000000140000000000040000000014000000182800000000000000020000000000" +
          "0000",
        "hex",
      ),
      "563a96d9",
    ],
  ];
  test.each(vectors)("RFC 3720 B.4: %s", (_, bytes, printed) => {
    const expected = Buffer.from(printed, "hex").readUInt32LE();
    expect(checksumOf(bytes).value).toBe(expected);
    expect(crc(bytes)).toBe(expected);
  });

  test("agrees with the stand-in's, bit by bit, for any bytes", () => {
    const bytes = fc.uint8Array({ maxLength: 300 });
    fc.assert(fc.property(bytes, (each) => checksumOf(each).value === crc(each)));
  });

  test("trap 2b.2: is not the CRC of node:zlib", () => {
    const bytes = Buffer.from("123456789");
    expect(checksumOf(bytes).value).toBe(0xe3069283);
    expect(crc32(bytes)).not.toBe(0xe3069283);
  });
});

describe("trap 2b.2: a checksum in every form that a decoder gives", () => {
  // Its checksum, 0xe3069283, has the highest bit set: signed, it is negative.
  const bytes = Buffer.from("123456789");
  const value = 0xe3069283;
  const long = { low: value | 0, high: 0, unsigned: false };
  const forms: readonly [string, unknown][] = [
    ["an Int64Value with a string", { value: "3808858755" }],
    ["an Int64Value with a number", { value }],
    ["an Int64Value with a Long", { value: long }],
    ["a string", "3808858755"],
    ["a number", value],
    ["a Long", long],
    ["a bigint", BigInt(value)],
  ];
  test.each(forms)("takes %s", (_, form) => {
    verifyChecksum("it", bytes, form as never);
  });

  const wrong: readonly [string, unknown][] = [
    ["undefined", undefined],
    ["null", null],
    ["an empty string", ""],
    ["an Int64Value without a value", {}],
    ["an Int64Value with null", { value: null }],
    ["no number", "checksum"],
    ["a fraction", 1.5],
    ["a negative number", value | 0],
    ["a Long with a high half", { ...long, high: 1 }],
    ["2^32 too much", 2 ** 32 + value],
    ["another checksum", value ^ 1],
  ];
  test.each(wrong)("refuses %s", (_, form) => {
    expect(() => verifyChecksum("it", bytes, form as never)).toThrow(IntegrityMismatch);
  });

  test("absent is not 0, which is the checksum of no bytes", () => {
    const none = new Uint8Array();
    verifyChecksum("nothing", none, { value: "0" });
    expect(() => verifyChecksum("nothing", none, null)).toThrow(IntegrityMismatch);
    expect(() => verifyChecksum("nothing", none, { value: undefined })).toThrow(IntegrityMismatch);
  });
});

describe("bytes of a response", () => {
  const bytes = Buffer.from("123456789");
  const checksum = { value: "3808858755" };

  test("are copied, and the SDK's copy is zeroed", () => {
    const field = Buffer.from(bytes);
    const copy = verifiedBytes("it", field, checksum);
    expect([...copy]).toEqual([...bytes]);
    expect(copy.buffer.byteLength).toBe(9);
    expect(field.every((byte) => byte === 0)).toBe(true);
  });

  test("may be base64 or an array", () => {
    expect([...verifiedBytes("it", bytes.toString("base64"), checksum)]).toEqual([...bytes]);
    expect([...verifiedBytes("it", [...bytes], checksum)]).toEqual([...bytes]);
  });

  test.each([[null], [undefined], ["no base64!"]])("may not be %s", (field) => {
    expect(() => verifiedBytes("it", field, checksum)).toThrow(IntegrityMismatch);
  });
});

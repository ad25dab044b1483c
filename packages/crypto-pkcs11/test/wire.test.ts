import fc from "fast-check";
import { expect, test } from "vitest";
import { createFrameReader, encodeMessage, type Message } from "../src/wire.ts";

const message = fc.record({
  id: fc.nat(),
  value: fc.jsonValue(),
  bytes: fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 4 }),
});

test("messages come out as they went in, however the stream is cut, and leave nothing behind", () => {
  fc.assert(
    fc.property(fc.array(message), fc.array(fc.integer({ min: 1, max: 300 })), (sent, cuts) => {
      const stream = Buffer.concat(sent.map(encodeMessage));
      const expected = sent.map(({ id, value, bytes }) => [id, JSON.stringify(value), bytes]);
      const reader = createFrameReader();
      const got: Message[] = [];
      for (let position = 0, turn = 0; position < stream.length; turn++) {
        const length = cuts[turn % Math.max(cuts.length, 1)] ?? stream.length;
        const chunk = stream.subarray(position, position + length);
        got.push(...reader.read(chunk));
        expect(chunk.every((byte) => byte === 0)).toBe(true);
        position += length;
      }
      expect(got.map(({ id, value, bytes }) => [id, JSON.stringify(value), bytes])).toEqual(
        expected,
      );
    }),
  );
});

test("a frame that cannot be is refused", () => {
  const huge = Buffer.alloc(8);
  huge.writeUInt32LE(0xffff_ffff, 0);
  expect(() => createFrameReader().read(huge)).toThrow("broken frame");
});

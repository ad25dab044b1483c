import { createPiiRedactor } from "@lango/guard";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { rig } from "./fixtures/rig.ts";

const redactor = createPiiRedactor();
const MAIL = "ada@example.org";

const streamed = async (chunks: readonly string[]): Promise<string> => {
  const stream = (await rig({ redactor })).guard.text("out").stream();
  return chunks.map((chunk) => stream.write(chunk)).join("") + stream.end();
};

const logged = async (chunks: readonly Uint8Array[]): Promise<Buffer> => {
  const pieces: Uint8Array[] = [];
  const log = (await rig({ redactor })).guard.log((masked) => void pieces.push(masked));
  for (const chunk of chunks) log.write(chunk);
  log.end();
  return Buffer.concat(pieces);
};

test("a line that is too long to be held is cut where no personal data is", async () => {
  const member = '{"k":"v"},';
  for (let shift = 0; shift <= MAIL.length; shift++) {
    const before = member.repeat(2 ** 13);
    const text = `${before}"${MAIL}",${before}`;
    const at = before.length + shift;
    const output = await streamed([text.slice(0, at), text.slice(at)]);
    expect(output === text.replace(MAIL, "[REDACTED]"), `cut at ${shift}`).toBe(true);
  }
});

test("a long line without an end of anything is cut between characters", async () => {
  const bytes = Buffer.from(`${"한".repeat(2 ** 15)} ${MAIL} ${"한".repeat(2 ** 15)}`);
  const chunks = [bytes.subarray(0, 70_000), bytes.subarray(70_000)];
  expect((await logged(chunks)).toString()).toBe(bytes.toString().replace(MAIL, "[REDACTED]"));
});

test("bytes that are no text do not hide what stands beside them", async () => {
  const bad = fc.uint8Array({ minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(bad, bad, fc.string({ unit: "grapheme" }), async (before, after, text) => {
      const parts = [before, Buffer.from(` ${MAIL} `), after, Buffer.from(text)];
      const expected = [
        before,
        Buffer.from(" [REDACTED] "),
        after,
        Buffer.from(text.toWellFormed()),
      ];
      expect(await logged([Buffer.concat(parts)])).toEqual(Buffer.concat(expected));
    }),
  );
});

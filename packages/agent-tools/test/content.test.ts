import { expect, test } from "vitest";
import { toContent } from "../src/mcp/content.ts";

test("only an object is structured content, whatever else JSON writes it as", async () => {
  expect(await toContent({ a: 1n })).toEqual({
    content: [{ type: "text", text: '{"a":"1"}' }],
    structuredContent: { a: "1" },
  });
  for (const [value, text] of [
    [new Map([["a", 1]]), '[["a",1]]'],
    [new Set(["a"]), '["a"]'],
    [new Date(0), '"1970-01-01T00:00:00.000Z"'],
    [["a"], '["a"]'],
    [1, "1"],
  ] as const) {
    expect(await toContent(value)).toEqual({ content: [{ type: "text", text }] });
  }
});

test("a stream of up to 4 MiB is a result, of whatever it is made", async () => {
  const stream = async function* (...chunks: readonly unknown[]) {
    yield* chunks;
  };
  const text = "x".repeat(2 ** 21);
  await expect(toContent(stream(text, { a: 1 }, undefined, { a: 3 }))).resolves.toBeDefined();
  const tooLarge = expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" });
  await expect(toContent(stream(text, text, "x"))).rejects.toEqual(tooLarge);
  await expect(toContent(stream({ text }, { text }))).rejects.toEqual(tooLarge);
});

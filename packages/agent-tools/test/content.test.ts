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

import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { ToolDefinition } from "@lango/guard";
import { expect, test } from "vitest";
import { rig } from "./fixtures/rig.ts";

const definition: ToolDefinition = {
  name: "plain",
  description: "",
  inputSchema: {},
  safety: "safe",
};

const callOf = async (handler: () => unknown, signal?: AbortSignal): Promise<unknown> =>
  (await rig()).guard.wrapTool(definition, async () => handler()).call({}, { signal });

test("a web stream that is cancelled before anything of it was read cancels its source", async () => {
  let cancelled = false;
  const source = new ReadableStream({
    cancel() {
      cancelled = true;
    },
  });
  const stream = (await callOf(() => source)) as ReadableStream;
  await stream.cancel();
  expect(cancelled).toBe(true);
});

test("a stream of Node's that is destroyed before anything of it was read destroys its source", async () => {
  const source = new Readable({ read() {} });
  const stream = (await callOf(() => source)) as Readable;
  stream.destroy();
  await nextTurn();
  expect(source.destroyed).toBe(true);
});

test("an iterable that nobody began ends with its signal", async () => {
  const controller = new AbortController();
  const source = new Readable({ read() {} });
  await callOf(() => source, controller.signal);
  controller.abort();
  expect(source.destroyed).toBe(true);
});

test("a stream that comes after the abort is ended", async () => {
  const controller = new AbortController();
  const source = new Readable({ read() {} });
  const call = callOf(async () => {
    controller.abort(new Error("too slow"));
    return source;
  }, controller.signal);
  await expect(call).rejects.toThrow("too slow");
  await nextTurn();
  expect(source.destroyed).toBe(true);
});

test("the error of a source that nobody has read yet comes when it is read, not to the process", async () => {
  const stream = (await callOf(() => createReadStream("/there/is/no/such/file"))) as Readable;
  // Long enough for the source to fail.
  await new Promise((resolve) => setTimeout(resolve, 20));
  await expect(stream.toArray()).rejects.toThrow("ENOENT");
});

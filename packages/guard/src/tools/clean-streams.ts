import { Readable } from "node:stream";
import { concat, isBytes, raceSignal } from "@lango/crypto-core";
import { isDetectorFailure } from "../pii/detector.ts";
import { cleanAndDetect } from "./clean-and-detect.ts";
import { cleanThrown } from "./clean-error.ts";
import type { Cleaning } from "./clean-value.ts";
import { createByteFilter, createEncoder, detectBytes } from "./filter.ts";

/**
 * What a stream gives, masked. Text and bytes are one stream, whose chunks may cut a secret anywhere, and each chunk comes out as
 * what it went in as; what is held back at the end is one chunk more. Anything else is masked chunk by chunk.
 */
export const cleanIterable = (
  source: AsyncIterable<unknown>,
  cleaning: Cleaning,
): AsyncIterableIterator<unknown, undefined> => {
  const stop = new AbortController();
  const signal = cleaning.signal ? AbortSignal.any([cleaning.signal, stop.signal]) : stop.signal;
  const chunks = steps(source, { ...cleaning, signal });
  // Nothing in `steps` could end the source before the first step: a generator that has not begun only returns.
  const endUnbegun = (): void => endUnread(source);
  signal.addEventListener("abort", endUnbegun, { once: true });
  if (signal.aborted) endUnbegun();
  return {
    next: () => {
      signal.removeEventListener("abort", endUnbegun);
      return chunks.next();
    },
    async return() {
      // A generator that waits for its source would return only when that gives something.
      stop.abort();
      await chunks.return(undefined);
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
};

async function* steps(
  source: AsyncIterable<unknown>,
  cleaning: Cleaning,
): AsyncGenerator<unknown, undefined, undefined> {
  const { parts, signal } = cleaning;
  const filter = createByteFilter(parts);
  const through = (chunk: Uint8Array): Promise<Uint8Array> =>
    detectBytes(parts, filter.write(chunk), signal);
  const encoder = createEncoder();
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let iterator: AsyncIterator<unknown> | undefined;
  let isText = true;
  let isOver = false;
  try {
    const opened = source[Symbol.asyncIterator]();
    iterator = opened;
    for (;;) {
      const step = await raceSignal(cleaning.signal, async () => opened.next());
      if (step.done) break;
      const chunk: unknown = step.value;
      if (typeof chunk === "string") {
        isText = true;
        const text = decoder.decode(await through(encoder.write(chunk)), { stream: true });
        if (text !== "") yield text;
      } else if (isBytes(chunk)) {
        isText = false;
        const bytes = await through(chunk);
        if (bytes.length > 0) yield bytes;
      } else {
        // Its own record of what was seen: a stream may give the same object again, changed.
        yield await cleanAndDetect(chunk, { ...cleaning, seen: new Map() });
      }
    }
    isOver = true;
    const held = concat(filter.write(encoder.end()), filter.end());
    const rest = await detectBytes(parts, held, signal);
    const text = isText ? decoder.decode(rest) : "";
    if (text !== "") yield text;
    if (!isText && rest.length > 0) yield rest;
    return undefined;
  } catch (error) {
    isOver = true;
    if (cleaning.signal?.aborted === true && error === cleaning.signal.reason) {
      end(iterator);
      throw error;
    }
    if (isDetectorFailure(error)) {
      end(iterator);
      throw error;
    }
    throw await cleanAndDetect(error, { ...cleaning, seen: new Map() }, cleanThrown);
  } finally {
    if (!isOver) end(iterator);
  }
}

/** The same of a web stream. Cancelling it cancels the source. */
export const cleanReadable = (
  source: ReadableStream<unknown>,
  cleaning: Cleaning,
): ReadableStream<unknown> => {
  const chunks = cleanIterable(source, cleaning);
  return new ReadableStream(
    {
      async pull(controller) {
        const step = await chunks.next();
        if (step.done) controller.close();
        else controller.enqueue(step.value);
      },
      async cancel() {
        await chunks.return?.();
      },
    },
    { highWaterMark: 0 },
  );
};

/** Ends a stream of which nothing has been read. Anything else is left alone. */
export const endUnread = (value: unknown): void => {
  if (value instanceof Readable) value.destroy();
  else if (value instanceof ReadableStream) void value.cancel().catch(() => {});
  else if (isIterable(value)) end(value[Symbol.asyncIterator]());
};

const isIterable = (value: unknown): value is AsyncIterable<unknown> =>
  typeof value === "object" && value !== null && Symbol.asyncIterator in value;

/** Not awaited: behind a step that hangs it would hang too. */
const end = (iterator: AsyncIterator<unknown> | undefined): void => {
  void Promise.resolve(iterator?.return?.()).catch(() => {});
};

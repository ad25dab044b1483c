import type { QueuingStrategy, Transformer } from "node:stream/web";
import { type Bytes, CryptoError } from "@lango/crypto-core";

/** A step of a pipeline: bytes in, in pieces of any length; bytes out. */
export interface ChunkMachine {
  push(chunk: Uint8Array): Bytes[] | Promise<Bytes[]>;
  /** The input has ended. */
  end(): Bytes[] | Promise<Bytes[]>;
}

/** A {@link ChunkMachine} that never waits. */
export interface SyncChunkMachine extends ChunkMachine {
  push(chunk: Uint8Array): Bytes[];
  end(): Bytes[];
}

/** A machine, and bytes that come before its own. */
export interface StartedMachine {
  readonly machine: ChunkMachine;
  readonly first?: Bytes;
}

/** Bytes that arrive in pieces; each is copied about once whatever its length. */
export interface Collector {
  /** What has arrived; valid until the next `add`. */
  bytes(): Bytes;
  add(chunk: Uint8Array): void;
}

export const createCollector = (): Collector => {
  let buffer: Bytes = new Uint8Array(1024);
  let length = 0;
  return {
    bytes: () => buffer.subarray(0, length),
    add: (chunk) => {
      if (length + chunk.length > buffer.length) {
        const grown = new Uint8Array(Math.max(2 * buffer.length, length + chunk.length));
        grown.set(buffer.subarray(0, length));
        buffer = grown;
      }
      buffer.set(chunk, length);
      length += chunk.length;
    },
  };
};

/**
 * Cuts a stream into segments of `size` bytes. A segment is held back until more bytes follow, so that the last one is
 * known as such; it has 1 to `size` bytes, or none if the whole stream has none.
 *
 * @param handle - Takes the segments that a chunk completed, which are only valid during the call, or the last one.
 */
export const createSegmenter = (
  size: number,
  handle: (segments: readonly Uint8Array[], last: boolean) => Bytes[],
): SyncChunkMachine => {
  const held = new Uint8Array(size);
  let length = 0;
  return {
    push: (chunk) => {
      const segments: Uint8Array[] = [];
      let offset = 0;
      if (length > 0 && length + chunk.length > size) {
        offset = size - length;
        held.set(chunk.subarray(0, offset), length);
        segments.push(held);
        length = 0;
      }
      for (; length === 0 && chunk.length - offset > size; offset += size) {
        segments.push(chunk.subarray(offset, offset + size));
      }
      const out = segments.length === 0 ? [] : handle(segments, false);
      held.set(chunk.subarray(offset), length);
      length += chunk.length - offset;
      return out;
    },
    end: () => {
      const out = handle([held.subarray(0, length)], true);
      held.fill(0);
      return out;
    },
  };
};

/** A web stream over a machine that `start` makes. */
export const toTransformStream = (
  start: () => Promise<StartedMachine>,
): TransformStream<Uint8Array, Bytes> => {
  let machine: ChunkMachine;
  const enqueue = (
    controller: TransformStreamDefaultController<Bytes>,
    chunks: readonly Bytes[],
  ): void => {
    for (const chunk of chunks) if (chunk.length > 0) controller.enqueue(chunk);
  };
  const transformer: Transformer<Uint8Array, Bytes> = {
    start: async (controller) => {
      const started = await start();
      machine = started.machine;
      if (started.first !== undefined) controller.enqueue(started.first);
    },
    transform: async (chunk, controller) => {
      if (!(chunk instanceof Uint8Array)) {
        throw new CryptoError("ERR_INVALID_ARGUMENT", "The stream takes chunks of Uint8Array only");
      }
      enqueue(controller, await machine.push(chunk));
    },
    flush: async (controller) => enqueue(controller, await machine.end()),
  };
  return new TransformStream<Uint8Array, Bytes>(transformer, QUEUE, QUEUE);
};

/** With queues of one chunk, the default, reading and writing would take turns. */
const QUEUE: QueuingStrategy<Uint8Array> = {
  highWaterMark: 1024 * 1024,
  // What is no bytes is refused by the transform, with a better message.
  size: (chunk) => chunk?.byteLength ?? 1,
};

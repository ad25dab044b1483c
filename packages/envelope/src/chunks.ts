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
 * @param each - Its argument is only valid during the call.
 */
export const createSegmenter = (
  size: number,
  each: (segment: Uint8Array, last: boolean) => Bytes,
): SyncChunkMachine => {
  const held = new Uint8Array(size);
  let length = 0;
  return {
    push: (chunk) => {
      const out: Bytes[] = [];
      let offset = 0;
      while (length + chunk.length - offset > size) {
        if (length === 0) {
          out.push(each(chunk.subarray(offset, offset + size), false));
          offset += size;
          continue;
        }
        held.set(chunk.subarray(offset, offset + size - length), length);
        offset += size - length;
        length = 0;
        out.push(each(held, false));
      }
      held.set(chunk.subarray(offset), length);
      length += chunk.length - offset;
      return out;
    },
    end: () => {
      const out = [each(held.subarray(0, length), true)];
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
  return new TransformStream<Uint8Array, Bytes>({
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
  });
};

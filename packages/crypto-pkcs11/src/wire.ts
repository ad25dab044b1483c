/**
 * What parent and child say to each other over their pipe: a JSON head and byte strings beside it.
 *
 *     u32 length of all that follows ‖ u32 length of the head ‖ head (UTF-8 JSON) ‖ byte strings
 *
 * Integers are little-endian. The head is `[id, value, lengths of the byte strings]`. Both ends are of this package and
 * start together, so there is no version and no defence against a hostile peer: only a broken frame is an error.
 */
export interface Message {
  /** Ties an answer to its question. */
  readonly id: number;
  readonly value: unknown;
  readonly bytes: readonly Uint8Array[];
}

const PREFIX_BYTES = 8;
/** Far above any message: the largest holds one listing of a token's keys. */
const MAX_FRAME_BYTES = 64 * 2 ** 20;

/** The frame of a message. It may hold secrets: zero it when it is written. */
export function encodeMessage({ id, value, bytes }: Message): Buffer<ArrayBuffer> {
  const head = Buffer.from(JSON.stringify([id, value, bytes.map(({ length }) => length)]));
  const total = bytes.reduce((sum, { length }) => sum + length, PREFIX_BYTES + head.length);
  // Not from the pool, which other code of the process shares.
  const frame = Buffer.alloc(total);
  frame.writeUInt32LE(total - 4, 0);
  frame.writeUInt32LE(head.length, 4);
  frame.set(head, PREFIX_BYTES);
  let position = PREFIX_BYTES + head.length;
  for (const part of bytes) {
    frame.set(part, position);
    position += part.length;
  }
  return frame;
}

/** Cuts a stream of bytes into messages. */
export interface FrameReader {
  /** The messages that are complete now. Their byte strings are copies; the chunk and what was kept of it are zeroed. */
  read(chunk: Buffer): Message[];
}

export function createFrameReader(): FrameReader {
  let rest = Buffer.alloc(0);
  return {
    read(chunk) {
      const data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const messages: Message[] = [];
      let position = 0;
      while (data.length - position >= PREFIX_BYTES) {
        const length = data.readUInt32LE(position);
        if (length < 4 || length > MAX_FRAME_BYTES) throw new Error("broken frame");
        const end = position + 4 + length;
        if (end > data.length) break;
        messages.push(decode(data.subarray(position + 4, end)));
        position = end;
      }
      const left = Buffer.from(data.subarray(position));
      rest.fill(0);
      chunk.fill(0);
      if (data !== chunk) data.fill(0);
      rest = left;
      return messages;
    },
  };
}

function decode(frame: Buffer): Message {
  let position = 4 + frame.readUInt32LE(0);
  const [id, value, lengths] = JSON.parse(frame.toString("utf8", 4, position)) as [
    number,
    unknown,
    number[],
  ];
  const bytes = lengths.map((length) => {
    const part = new Uint8Array(frame.subarray(position, position + length));
    position += length;
    return part;
  });
  return { id, value, bytes };
}

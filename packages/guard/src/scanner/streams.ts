import { Transform } from "node:stream";
import type { Masker } from "./types.ts";

export const transformStream = (masker: Masker): TransformStream<Uint8Array, Uint8Array> =>
  new TransformStream({
    transform(chunk, controller) {
      for (const piece of masker.write(chunk)) controller.enqueue(piece);
    },
    flush(controller) {
      for (const piece of masker.end()) controller.enqueue(piece);
    },
  });

export const nodeTransform = (masker: Masker): Transform => {
  const push = (stream: Transform, mask: () => readonly Uint8Array[]): Error | null => {
    try {
      for (const piece of mask()) stream.push(piece);
      return null;
    } catch (error) {
      return error as Error;
    }
  };
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      done(push(this, () => masker.write(chunk)));
    },
    flush(done) {
      done(push(this, () => masker.end()));
    },
  });
};

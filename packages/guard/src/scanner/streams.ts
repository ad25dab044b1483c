import { Transform } from "node:stream";
import type { Masker } from "./types.ts";

export const transformStream = (masker: Masker): TransformStream<Uint8Array, Uint8Array> =>
  new TransformStream({
    transform(chunk, controller) {
      const output = masker.write(chunk);
      if (output.length > 0) controller.enqueue(output);
    },
    flush(controller) {
      const output = masker.end();
      if (output.length > 0) controller.enqueue(output);
    },
  });

export const nodeTransform = (masker: Masker): Transform =>
  new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      try {
        const output = masker.write(chunk);
        done(null, output.length > 0 ? output : undefined);
      } catch (error) {
        done(error as Error);
      }
    },
    flush(done) {
      try {
        const output = masker.end();
        done(null, output.length > 0 ? output : undefined);
      } catch (error) {
        done(error as Error);
      }
    },
  });

import { type Bytes, fromBase64, toBase64 } from "@lango/crypto-core";
import * as z from "zod";

/** Bytes on the wire: standard base64 with padding (RFC 4648 §4), `minBytes` (default: 0) to `maxBytes` when decoded. */
export const base64 = (
  maxBytes: number,
  minBytes: number = 0,
): z.ZodCodec<z.ZodString, z.ZodCustom<Bytes, Bytes>> =>
  z.codec(
    z.string().max(Math.ceil(maxBytes / 3) * 4),
    z.custom<Bytes>(
      (value) =>
        value instanceof Uint8Array && value.length >= minBytes && value.length <= maxBytes,
    ),
    {
      decode: (text, context) => {
        const bytes = fromBase64(text);
        if (bytes !== undefined) return bytes;
        context.issues.push({ code: "custom", message: "no base64", input: undefined });
        return z.NEVER;
      },
      encode: toBase64,
    },
  );

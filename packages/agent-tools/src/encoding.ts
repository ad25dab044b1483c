import { type Bytes, CryptoError, fromBase64, toBase64, utf8 } from "@lango/crypto-core";

/** How bytes stand in a text. */
export type Encoding = "utf8" | "base64";

export const ENCODING = {
  type: "string",
  description: "How the bytes are written: utf8 or base64",
  enum: ["utf8", "base64"],
  default: "utf8",
} as const;

/** @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` that names the parameter and not its value. */
export const decodeText = (text: string, parameter: string, encoding: Encoding = "utf8"): Bytes => {
  if (encoding === "utf8") return utf8(text);
  const bytes = fromBase64(text);
  if (bytes !== undefined) return bytes;
  throw new CryptoError("ERR_INVALID_ARGUMENT", `${parameter} is not base64`);
};

/** @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for bytes that are no text. */
export const encodeText = (bytes: Uint8Array, encoding: Encoding = "utf8"): string => {
  if (encoding === "base64") return toBase64(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new CryptoError("ERR_INVALID_ARGUMENT", "The plaintext is no text", {
      context: { hint: "Ask for it with encoding base64" },
    });
  }
};

import { Buffer } from "node:buffer";
import { CryptoError, concat, isBytes, isCryptoError, toBase64 } from "@lango/crypto-core";
import { type CallToolResult, isCallToolResult } from "@modelcontextprotocol/server";

/** More than this of a streamed result is an error: a model could not read it either. */
const MAX_STREAM_BYTES = 4 * 1024 * 1024;

/** The result of a tool as MCP says it. It was masked before. */
export const toContent = async (result: unknown): Promise<CallToolResult> => {
  const value = isStream(result) ? await collect(result) : result;
  if (isCallToolResult(value)) return value;
  if (value === undefined || value === null) return { content: [] };
  if (typeof value === "string") return { content: [{ type: "text", text: value }] };
  if (isBytes(value)) return ofBytes(value);
  const text = toJson(value);
  const content: CallToolResult["content"] = [{ type: "text", text }];
  // Only an object may stand there: not what a Map, a Set or a Date is written as.
  if (!text.startsWith("{")) return { content };
  return { content, structuredContent: JSON.parse(text) as Record<string, unknown> };
};

/** An error as MCP says it, for the model to act on. */
export const toErrorContent = (error: unknown): CallToolResult => {
  const { code, message, hint, retryable } = describe(error);
  const text = `${code}: ${message}${hint === undefined ? "" : `\n${hint}`}`;
  return {
    isError: true,
    content: [{ type: "text", text }],
    structuredContent: {
      error: { code, message, retryable, ...(hint === undefined ? {} : { hint }) },
    },
  };
};

interface Described {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly retryable: boolean;
}

const describe = (error: unknown): Described => {
  if (isCryptoError(error)) {
    const { code, message, context, retryable } = error;
    return { code, message, hint: context.hint, retryable };
  }
  if (error instanceof Error) {
    return { code: error.name, message: error.message, retryable: false };
  }
  const message = typeof error === "string" ? error : "The tool failed";
  return { code: "ERR_INTERNAL", message, retryable: false };
};

const isStream = (value: unknown): value is AsyncIterable<unknown> =>
  typeof value === "object" && value !== null && Symbol.asyncIterator in value;

/** A stream as one value: text and bytes joined, other things as a list. */
const collect = async (stream: AsyncIterable<unknown>): Promise<unknown> => {
  const pieces: Uint8Array[] = [];
  const others: unknown[] = [];
  let size = 0;
  for await (const chunk of stream) {
    if (typeof chunk === "string" || isBytes(chunk)) {
      const piece = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
      pieces.push(piece);
      size += piece.length;
    } else {
      others.push(chunk);
      size += toJson([chunk]).length;
    }
    if (size > MAX_STREAM_BYTES) {
      throw new CryptoError("ERR_INVALID_ARGUMENT", "The result is larger than 4 MiB");
    }
  }
  if (pieces.length === 0) return others;
  const bytes = concat(...pieces);
  return others.length === 0 ? bytes : [textOf(bytes) ?? toBase64(bytes), ...others];
};

const ofBytes = (bytes: Uint8Array): CallToolResult => {
  const text = textOf(bytes);
  if (text !== undefined) return { content: [{ type: "text", text }] };
  const resource = {
    uri: "lango:result",
    mimeType: "application/octet-stream",
    blob: toBase64(bytes),
  };
  return { content: [{ type: "resource", resource }] };
};

const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
};

const toJson = (value: unknown): string => {
  try {
    return JSON.stringify(value, (_, member: unknown) => {
      if (typeof member === "bigint") return member.toString();
      if (isBytes(member)) return toBase64(member);
      if (member instanceof Map) return [...member];
      if (member instanceof Set) return [...member];
      if (member instanceof Error) return { name: member.name, message: member.message };
      return member;
    });
  } catch {
    throw new CryptoError("ERR_INTERNAL", "The result of the tool cannot be written as JSON");
  }
};

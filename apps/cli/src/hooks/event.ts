import { usageError } from "../cli/arguments.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** @throws CryptoError `ERR_INVALID_ARGUMENT` for what no agent sends. */
export function parseEvent(bytes: Uint8Array): JsonObject {
  let event: unknown;
  try {
    event = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {}
  if (isObject(event)) return event;
  throw usageError("Standard input holds no event of an agent, which is one JSON object");
}

export const text = (value: unknown): string => (typeof value === "string" ? value : "");
export const object = (value: unknown): JsonObject => (isObject(value) ? value : {});

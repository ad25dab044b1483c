import { CryptoError } from "@lango/crypto-core";
import type { Action, JsonObject, JsonValue } from "./types.ts";

/** Bounds what a person has to read, and the stack. */
const MAX_DEPTH = 32;
const MAX_BYTES = 256 * 1024;
const MAX_NAME_LENGTH = 256;
const MAX_TEXT_LENGTH = 4096;

/** The one spelling of a tool's name: MCP and the seeds write `secrets_get` and `secrets.get`. */
export const toolName = (name: string): string => name.replaceAll(".", "_");

/**
 * A frozen copy of an action, with the one spelling of its tool: what was approved cannot be changed afterwards by whoever
 * holds the original.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for what JSON cannot say, lone surrogates, texts that are too long (256
 *   characters for session, tool and secret, 4,096 for the others), and more than 256 KiB in all.
 */
export const snapshot = (action: Action): Action => {
  const { session, tool, secret, destination, binary, cwd, amount, argv } = action;
  for (const [what, text] of Object.entries({ session, tool, secret })) {
    if (text !== undefined || what !== "secret") checkText(what, text, 1, MAX_NAME_LENGTH);
  }
  for (const [what, text] of Object.entries({ destination, binary, cwd, amount })) {
    if (text !== undefined) checkText(what, text, 1, MAX_TEXT_LENGTH);
  }
  if (argv !== undefined && !Array.isArray(argv)) throw bad("argv is no list");
  for (const word of argv ?? []) checkText("argv", word, 0, MAX_BYTES);
  const copy: Action = Object.freeze({
    session,
    tool: toolName(tool),
    ...(action.arguments !== undefined && { arguments: copyObject(action.arguments, 0) }),
    ...(secret !== undefined && { secret }),
    ...(destination !== undefined && { destination }),
    ...(argv !== undefined && { argv: Object.freeze([...argv]) }),
    ...(binary !== undefined && { binary }),
    ...(cwd !== undefined && { cwd }),
    ...(amount !== undefined && { amount }),
  });
  if (Buffer.byteLength(JSON.stringify(copy)) > MAX_BYTES) {
    throw bad(`it has more than ${MAX_BYTES} bytes`);
  }
  return copy;
};

const copyObject = (object: JsonObject, depth: number): JsonObject => {
  const isPlain = typeof object === "object" && object !== null && !Array.isArray(object);
  if (!isPlain) throw bad("the arguments are no object");
  // Without a prototype, `__proto__` is a name like any other.
  const copy: Record<string, JsonValue> = Object.create(null);
  for (const [key, value] of Object.entries(object)) {
    if (value === undefined) continue;
    checkText("a key of the arguments", key, 0, MAX_BYTES);
    copy[key] = copyValue(value, depth + 1);
  }
  return Object.freeze(copy);
};

const copyValue = (value: JsonValue, depth: number): JsonValue => {
  if (depth > MAX_DEPTH) throw bad(`the arguments have more than ${MAX_DEPTH} levels`);
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw bad("the arguments have a number that JSON cannot say");
    return value;
  }
  if (typeof value === "string") {
    checkText("a text in the arguments", value, 0, MAX_BYTES);
    return value;
  }
  if (Array.isArray(value)) {
    return Object.freeze(value.map((item: JsonValue) => copyValue(item, depth + 1)));
  }
  if (typeof value !== "object") throw bad("the arguments have something that JSON cannot say");
  return copyObject(value as JsonObject, depth);
};

const checkText = (what: string, text: unknown, least: number, most: number): void => {
  const isGood =
    typeof text === "string" && text.length >= least && text.length <= most && text.isWellFormed();
  if (!isGood) throw bad(`${what} is no valid text of ${least} to ${most} characters`);
};

const bad = (what: string): CryptoError =>
  new CryptoError("ERR_INVALID_ARGUMENT", `The action cannot be approved: ${what}`);

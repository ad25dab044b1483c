import { CryptoError } from "@lango/crypto-core";
import type { JsonObject, JsonValue } from "../approvals/types.ts";

const MAX_DEPTH = 64;

/**
 * A frozen copy of a call's arguments: what is checked and approved is what the tool gets, whatever the caller does with its
 * own. Members that are `undefined` are left out, as JSON does.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for what JSON cannot say, or nests deeper than 64.
 */
export const copyArguments = (args: unknown): JsonObject => {
  if (!isPlainObject(args)) throw refuse("The arguments of a tool are a JSON object");
  return copyObject(args, 1);
};

const copy = (value: unknown, depth: number): JsonValue => {
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (depth > MAX_DEPTH) throw refuse(`The arguments nest deeper than ${MAX_DEPTH}`);
  if (Array.isArray(value)) return Object.freeze(value.map((item) => copy(item, depth + 1)));
  if (isPlainObject(value)) return copyObject(value, depth + 1);
  throw refuse("The arguments have a value that is no JSON");
};

const copyObject = (value: object, depth: number): JsonObject =>
  Object.freeze(
    Object.fromEntries(
      Object.entries(value)
        .filter(([, member]) => member !== undefined)
        .map(([name, member]) => [name, copy(member, depth)]),
    ),
  );

/** Whether it is an object of its own members alone; one with a getter could say something else each time, but is copied once. */
const isPlainObject = (value: unknown): value is object => {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

/** The same with each string in it changed, one after another. */
export const mapStrings = async (
  value: JsonValue,
  change: (text: string) => Promise<string>,
): Promise<JsonValue> => {
  if (typeof value === "string") return change(value);
  if (typeof value !== "object" || value === null) return value;
  if (isArray(value)) {
    const items: JsonValue[] = [];
    for (const item of value) items.push(await mapStrings(item, change));
    return Object.freeze(items);
  }
  const members: [string, JsonValue][] = [];
  for (const [name, member] of Object.entries(value)) {
    members.push([name, await mapStrings(member, change)]);
  }
  return Object.freeze(Object.fromEntries(members));
};

// Array.isArray does not narrow a read-only array.
const isArray = (value: JsonValue): value is readonly JsonValue[] => Array.isArray(value);

const refuse = (message: string): CryptoError => new CryptoError("ERR_INVALID_ARGUMENT", message);

import type { JsonValue } from "@lango/envelope";
import { type Config, DEFAULTS } from "./defaults.ts";

// A first look at a configuration that costs nothing. The schema, which is large, checks the values and says what is wrong.

/** Whether a configuration has only settings that there are, each of the type of its default. */
export function isShaped(value: JsonValue, like: unknown = DEFAULTS): boolean {
  if (!isGroup(like)) return isOfType(value, like);
  if (!isGroup(value)) return false;
  return Object.entries(value).every(
    ([key, inner]) =>
      takesAnyName(like) || (Object.hasOwn(like, key) && isShaped(inner as JsonValue, like[key])),
  );
}

/** What a configuration says, with defaults where it says nothing or something of another type. */
export const withDefaults = (value: JsonValue): Config => merged(value, DEFAULTS) as Config;

function merged(value: unknown, like: unknown): unknown {
  if (!isGroup(like)) return isOfType(value, like) ? value : like;
  const given = isGroup(value) ? value : {};
  if (takesAnyName(like)) return given;
  return Object.fromEntries(
    Object.entries(like).map(([key, fallback]) => [
      key,
      merged(Object.hasOwn(given, key) ? given[key] : undefined, fallback),
    ]),
  );
}

type Group = Readonly<Record<string, unknown>>;

const isGroup = (value: unknown): value is Group =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** One without defaults. */
const takesAnyName = (group: Group): boolean => Object.keys(group).length === 0;

/** Values that are no groups; only lists are objects. */
const isOfType = (value: unknown, like: unknown): boolean =>
  typeof value === typeof like && Array.isArray(value) === Array.isArray(like);

import type { JsonValue } from "@lango/envelope";
import { configJsonSchema, type JsonSchema } from "./schema.ts";

/** A setting and the keys that lead to it. */
export interface Leaf {
  readonly keys: readonly string[];
  readonly schema: JsonSchema;
}

/** Every setting below a schema, in its order. */
export function settingsOf(schema: JsonSchema, keys: readonly string[] = []): Leaf[] {
  return schema.properties === undefined
    ? [{ keys, schema }]
    : Object.entries(schema.properties).flatMap(([key, member]) =>
        settingsOf(member, [...keys, key]),
      );
}

/** The schema of a path, also of a key of a free map; `undefined` for a path that does not exist. */
export function schemaAt(keys: readonly string[]): JsonSchema | undefined {
  let schema: JsonSchema | undefined = configJsonSchema();
  for (const key of keys) {
    const { properties, additionalProperties } = schema as JsonSchema;
    const free: JsonSchema | undefined =
      typeof additionalProperties === "object" ? additionalProperties : undefined;
    schema = properties && Object.hasOwn(properties, key) ? properties[key] : free;
    if (schema === undefined) return undefined;
  }
  return schema;
}

/** A JSON object. */
export type Group = { readonly [key: string]: JsonValue };

/** Whether a value is a JSON object. */
export const isGroup = (value: unknown): value is Group =>
  typeof value === "object" && value !== null && !Array.isArray(value);

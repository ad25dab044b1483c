import { CryptoError } from "@lango/crypto-core";
import type { JsonObject, JsonValue } from "@lango/guard";

/** What a parameter of these tools may be, in JSON Schema (2020-12). */
export type ParameterSchema =
  | {
      readonly type: "string";
      readonly description: string;
      readonly minLength?: number;
      readonly maxLength?: number;
      readonly pattern?: string;
      readonly enum?: readonly string[];
      readonly default?: string;
    }
  | {
      readonly type: "integer";
      readonly description: string;
      readonly minimum: number;
      readonly maximum: number;
      readonly default?: number;
    };

/** The parameters of a tool. */
export interface Parameters {
  readonly required: readonly string[];
  readonly properties: Readonly<Record<string, ParameterSchema>>;
}

const DIALECT = "https://json-schema.org/draft/2020-12/schema";

/** The schema as agents see it. */
export const schemaOf = ({ required, properties }: Parameters): JsonObject => ({
  $schema: DIALECT,
  type: "object",
  properties: properties as unknown as JsonObject,
  required: [...required],
  additionalProperties: false,
});

/**
 * Refuses arguments that the schema refuses. A fault is told by the parameter and what it should be; what was found is never
 * repeated, and neither is a name that nobody declared: people, and models, put values where names belong.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT`.
 */
export const checkArguments = ({ required, properties }: Parameters, args: JsonObject): void => {
  for (const name of required) {
    if (!Object.hasOwn(args, name)) throw refuse(`${name} is required`);
  }
  for (const [name, value] of Object.entries(args)) {
    const schema = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (schema === undefined) {
      const known = Object.keys(properties).join(", ");
      throw refuse(`There is a parameter that this tool does not have; it has ${known || "none"}`);
    }
    const fault = faultOf(schema, value);
    if (fault !== undefined) throw refuse(`${name} ${fault}`);
  }
};

const faultOf = (schema: ParameterSchema, value: JsonValue): string | undefined => {
  if (schema.type === "integer") {
    const isIn =
      Number.isInteger(value) && Number(value) >= schema.minimum && Number(value) <= schema.maximum;
    return isIn ? undefined : `must be an integer from ${schema.minimum} to ${schema.maximum}`;
  }
  if (typeof value !== "string") return "must be a string";
  if (schema.enum !== undefined) {
    return schema.enum.includes(value) ? undefined : `must be one of ${schema.enum.join(", ")}`;
  }
  // JSON Schema counts characters, JavaScript counts halves of some of them.
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern } = schema;
  if (value.length < minLength) return "must not be empty";
  if (value.length > maxLength && [...value].length > maxLength) {
    return `must have at most ${maxLength} characters`;
  }
  if (pattern !== undefined && !new RegExp(pattern, "u").test(value)) {
    return "does not have the form that its description says";
  }
  return undefined;
};

const refuse = (message: string): CryptoError => new CryptoError("ERR_INVALID_ARGUMENT", message);

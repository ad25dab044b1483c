import type { Handler } from "../cli/command.ts";
import { configJsonSchema } from "../config/schema.ts";

/** Prints the JSON Schema of config.json, for editors. */
export const run: Handler = async () => {
  const schema = configJsonSchema();
  return { data: schema, text: JSON.stringify(schema, null, 2) };
};

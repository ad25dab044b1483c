import type { Handler } from "../cli/command.ts";

/** Prints the JSON Schema of config.json, for editors. */
export const run: Handler = async () => {
  const { configJsonSchema } = await import("../config/schema.ts");
  const schema = configJsonSchema();
  return { data: schema, text: JSON.stringify(schema, null, 2) };
};

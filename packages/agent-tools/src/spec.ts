import type { JsonObject, ToolContext, ToolDefinition } from "@lango/guard";
import type { Parameters } from "./schema.ts";

/** A tool of this package: its definition, with parameters from which schema and check come, and its work. */
export interface ToolSpec extends Omit<ToolDefinition, "inputSchema" | "check" | "exact"> {
  readonly parameters: Parameters;
  /** Default: true; results are names, references and encoded bytes. */
  readonly exact?: boolean;
  readonly run: (args: JsonObject, context: ToolContext) => Promise<JsonObject | object>;
}

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Ajv, type ErrorObject } from "ajv";
import formats from "ajv-formats";

/** The schema of SARIF 2.1.0 as its editors published it (2.1.0-rtm.5), which the package of their SDK carries, under MIT. */
const SCHEMA = "@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json";

/** What is wrong with a log by the schema. */
export function sarifErrors(log: unknown): readonly ErrorObject[] {
  const text = readFileSync(createRequire(import.meta.url).resolve(SCHEMA), "utf8");
  // JSON Schema draft 4; what it uses of it is the same in later drafts but for the name of `id`.
  const { $schema, id, ...schema } = JSON.parse(text) as Record<string, unknown>;
  const ajv = new Ajv({ strict: false, allErrors: true, unicodeRegExp: false });
  formats.default(ajv);
  const validate = ajv.compile(schema);
  return validate(log) ? [] : (validate.errors ?? []);
}

import { pathToFileURL } from "node:url";
import { readVersion } from "../version.ts";
import type { FilePlace } from "./scan-stream.ts";

const RULE = "secret-in-clear";

/** The findings as a log of OASIS SARIF 2.1.0. Names of secrets and forms only, no values. */
export const toSarif = (places: readonly FilePlace[]): Readonly<Record<string, unknown>> => ({
  $schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json",
  version: "2.1.0",
  runs: [
    {
      tool: {
        driver: {
          name: "lango",
          version: readVersion(),
          informationUri: "https://github.com/lango-dev/lango",
          rules: [
            {
              id: RULE,
              shortDescription: { text: "A secret of the vault stands in a file" },
              defaultConfiguration: { level: "error" },
            },
          ],
        },
      },
      results: places.map(({ path, line, name, form, offset, length }) => ({
        ruleId: RULE,
        level: "error",
        message: { text: `The secret ${name} stands here (${form})` },
        locations: [
          {
            physicalLocation: {
              artifactLocation: { uri: path === "-" ? "stdin:" : pathToFileURL(path).href },
              region: { startLine: line, byteOffset: offset, byteLength: length },
            },
          },
        ],
        properties: { secret: name, form },
      })),
    },
  ],
});

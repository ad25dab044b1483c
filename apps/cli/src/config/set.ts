import { mkdirSync, writeFileSync } from "node:fs";
import { CryptoError } from "@lango/crypto-core";
import type { JsonValue } from "@lango/envelope";
import { writeFileWhole } from "../cli/files.ts";
import { isGroup, schemaAt } from "./json-schema.ts";
import { configPath, readConfigFile } from "./load.ts";
import { validateConfig } from "./validate.ts";

/**
 * Sets one setting in `config.json` and leaves the rest of the file as it says. The file changes whole or not at all,
 * and only if every setting in it is sound afterwards.
 *
 * @param path - Its keys, joined by dots; a group takes JSON.
 * @param text - `true` or `false`, a number, JSON for lists and groups, else the text itself, as the setting's type is.
 * @param options.dryRun - Checks everything and writes nothing. Default false.
 * @returns The value that was written.
 * @throws CryptoError `ERR_CONFIG` when the result would have a fault, naming each, and like `loadConfig`;
 *   `ERR_INVALID_ARGUMENT` for ill-formed JSON; `ERR_ACCESS_DENIED` when the file may not be written.
 */
export async function setSetting(
  home: string,
  path: string,
  text: string,
  options: { readonly dryRun?: boolean } = {},
): Promise<JsonValue> {
  const keys = path.split(".");
  const value = parseValue(text, schemaAt(keys)?.type, path);
  const before = await readConfigFile(home);
  const after = withValue(before, keys, value);
  validateConfig(after, "The setting was not changed");
  if (options.dryRun === true) return value;
  mkdirSync(home, { recursive: true, mode: 0o700 });
  await writeFileWhole(configPath(home), async (fd) => {
    writeFileSync(fd, `${JSON.stringify(after, null, 2)}\n`);
  });
  return value;
}

/** Reads what a person typed as the type that the setting has; what does not fit is left for the schema to refuse. */
function parseValue(text: string, type: string | undefined, path: string): JsonValue {
  switch (type) {
    case "boolean":
      return text === "true" ? true : text === "false" ? false : text;
    case "integer":
    case "number":
      return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
    case "array":
    case "object":
      try {
        return JSON.parse(text) as JsonValue;
      } catch (cause) {
        throw new CryptoError("ERR_INVALID_ARGUMENT", `${path} takes a JSON ${type}`, { cause });
      }
    default:
      return text;
  }
}

/** A copy of a group with one value in it set; what stands in the way gives way, and the schema judges the result. */
function withValue(
  group: JsonValue | undefined,
  keys: readonly string[],
  value: JsonValue,
): JsonValue {
  const [key, ...rest] = keys;
  if (key === undefined) return value;
  const members = isGroup(group) ? Object.entries(group) : [];
  const member = withValue(isGroup(group) ? group[key] : undefined, rest, value);
  // Not a literal: `__proto__` must become a key like any other, and be refused as one.
  return Object.fromEntries([...members, [key, member]]);
}

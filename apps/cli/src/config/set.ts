import { writeFileSync } from "node:fs";
import { CryptoError } from "@lango/crypto-core";
import type { JsonValue } from "@lango/envelope";
import { makeFolder } from "@lango/vault";
import { writeFileWhole } from "../cli/files.ts";
import { isGroup, schemaAt } from "./json-schema.ts";
import { configPath, readConfigFile } from "./load.ts";
import { configFaults, faultsOf } from "./validate.ts";

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
  const found = await readConfigFile(home);
  const before = found === undefined ? {} : found;
  if (!isGroup(before)) {
    const what = Array.isArray(before) ? "a list" : "a single value";
    throw configFaults(configPath(home), [`it holds ${what} and not the settings, as {…}`]);
  }
  const after = withValue(before, keys, value);
  checkResult(home, path, before, after);
  if (options.dryRun === true) return value;
  makeFolder(home);
  await writeFileWhole(configPath(home), async (fd) => {
    writeFileSync(fd, `${JSON.stringify(after, null, 2)}\n`);
  });
  return value;
}

/** Tells a fault of what was typed from those that the file had before. */
function checkResult(home: string, path: string, before: JsonValue, after: JsonValue): void {
  const faults = faultsOf(after);
  if (faults.length === 0) return;
  const old = new Set(faultsOf(before));
  const isTyped = (fault: string): boolean =>
    !old.has(fault) || [":", "."].some((end) => fault.startsWith(path + end));
  const typed = faults.filter(isTyped);
  throw typed.length > 0
    ? configFaults("The setting was not changed", typed)
    : configFaults(`The setting was not changed, ${configPath(home)} has other faults`, faults);
}

/** Reads what a person typed as the type that the setting has; what else does not fit is left for the schema. */
function parseValue(text: string, type: string | undefined, path: string): JsonValue {
  switch (type) {
    case "boolean":
      if (text === "true" || text === "false") return text === "true";
      throw notA(path, "true or false", text);
    case "integer":
    case "number":
      if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text);
      throw notA(path, type === "integer" ? "a whole number" : "a number", text);
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

const notA = (path: string, wanted: string, found: string): CryptoError =>
  configFaults("The setting was not changed", [
    `${path} takes ${wanted}, not ${JSON.stringify(found.slice(0, 64))}`,
  ]);

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

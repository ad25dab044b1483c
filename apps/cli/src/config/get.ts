import { CryptoError } from "@lango/crypto-core";
import type { JsonValue } from "@lango/envelope";
import { suggest } from "../cli/suggest.ts";
import { type Config, DEFAULTS } from "./defaults.ts";
import { isGroup, schemaAt, settingsOf } from "./json-schema.ts";
import { loadConfig } from "./load.ts";
import { configJsonSchema, type JsonSchema } from "./schema.ts";

/** One setting as `settings list` shows it. */
export interface SettingInfo {
  /** Its keys, joined by dots. */
  readonly path: string;
  readonly value: JsonValue;
  readonly isDefault: boolean;
  readonly defaultValue: JsonValue;
  /** Whether it is a token, which is not shown. */
  readonly isSecret?: true;
  readonly type: string;
  readonly choices?: readonly string[];
  readonly description: string;
}

/** Every setting with its value in a home, in the order of the schema; a token is not shown. */
export async function listSettings(home: string): Promise<SettingInfo[]> {
  const config = await loadConfig(home);
  return settingsOf(configJsonSchema()).map(({ keys, schema }) => {
    const value = lookUp(config, keys)!;
    const defaultValue = lookUp(DEFAULTS, keys)!;
    return {
      path: keys.join("."),
      value: conceal(value, schema),
      isDefault: JSON.stringify(value) === JSON.stringify(defaultValue),
      defaultValue,
      ...(schema.writeOnly === true ? { isSecret: true } : {}),
      type: schema.type ?? "string",
      ...(schema.enum === undefined ? {} : { choices: schema.enum }),
      description: schema.description ?? "",
    };
  });
}

/**
 * Returns one setting, or a group of them, with defaults filled in.
 *
 * @param path - Its keys, joined by dots.
 * @param options.reveal - Whether a token is shown. Default false: it reads `(hidden)`.
 * @throws CryptoError `ERR_NOT_FOUND` for a path that does not exist, and like `loadConfig`.
 */
export async function getSetting(
  home: string,
  path: string,
  options: { readonly reveal?: boolean } = {},
): Promise<JsonValue> {
  const keys = path.split(".");
  const value = lookUp(await loadConfig(home), keys);
  if (value === undefined) {
    throw noSetting(path);
  }
  return options.reveal === true ? value : conceal(value, schemaAt(keys) ?? {});
}

/** @throws CryptoError `ERR_NOT_FOUND` for a path that does not exist. */
export function requireSetting(path: string): void {
  if (schemaAt(path.split(".")) === undefined) throw noSetting(path);
}

function noSetting(path: string): CryptoError {
  const paths = settingsOf(configJsonSchema()).map(({ keys }) => keys.join("."));
  const near = suggest(path, paths) ?? paths.find((each) => each.endsWith(`.${path}`));
  return new CryptoError("ERR_NOT_FOUND", `There is no setting ${path}`, {
    context: { hint: near ? `Did you mean ${near}?` : 'See "lango settings list"' },
  });
}

function lookUp(config: Config, keys: readonly string[]): JsonValue | undefined {
  let value: unknown = config;
  for (const key of keys) {
    if (!isGroup(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value as JsonValue;
}

/** A value with every secret in it hidden. */
function conceal(value: JsonValue, schema: JsonSchema): JsonValue {
  if (schema.writeOnly === true) return value === "" ? value : "(hidden)";
  const { properties } = schema;
  if (properties === undefined || !isGroup(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, conceal(member, properties[key] ?? {})]),
  );
}

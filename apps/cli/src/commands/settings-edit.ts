import { isCryptoError } from "@lango/crypto-core";
import { usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { printable, table, writeNote } from "../cli/output.ts";
import { askLine, askSecret, canAsk } from "../cli/terminal.ts";
import type { SettingInfo } from "../config/get.ts";

/** Lets a person choose settings and change them, one after another. What does not fit is said and asked again. */
export const run: Handler = async (context) => {
  if (context.json || !canAsk(context)) {
    throw usageError(
      '"lango settings" needs a subcommand: get, set, list, schema',
      'Run it on a terminal to be asked, or "lango settings --help"',
    );
  }
  const { listSettings } = await import("../config/get.ts");
  const changed: string[] = [];
  let settings = await listSettings(context.home);
  writeNote(listed(settings));
  for (;;) {
    const wanted = (await askLine("Setting, by number or name (Enter ends): "))?.trim();
    if (!wanted) break;
    const found = search(settings, wanted);
    const [setting] = found;
    if (setting === undefined || found.length > 1) {
      const names = found.map(({ path }) => `\n  ${path}`).join("");
      writeNote(
        found.length === 0 ? `No setting is called ${printable(wanted)}` : `Which?${names}`,
      );
      continue;
    }
    if (await edit(context, setting)) {
      changed.push(setting.path);
      settings = await listSettings(context.home);
    }
  }
  return {
    text: changed.length === 0 ? "nothing was changed" : `set ${[...new Set(changed)].join(", ")}`,
  };
};

const listed = (settings: readonly SettingInfo[]): string =>
  table(
    ["NO", "SETTING", "VALUE", "DEFAULT", "MEANING"],
    settings.map(({ path, value, isDefault, defaultValue, description }, index) => [
      `${index + 1}`,
      path,
      JSON.stringify(value),
      isDefault ? "" : JSON.stringify(defaultValue),
      description,
    ]),
  );

/** By its number, its name, or a part of the name that may fit several. */
function search(settings: readonly SettingInfo[], wanted: string): readonly SettingInfo[] {
  const named = /^\d+$/.test(wanted)
    ? settings[Number(wanted) - 1]
    : settings.find(({ path }) => path === wanted);
  return named ? [named] : settings.filter(({ path }) => path.includes(wanted));
}

/** Asks for a value until one fits. @returns Whether it was written. */
async function edit(context: Context, setting: SettingInfo): Promise<boolean> {
  const { path, value, defaultValue, type, choices, description, isSecret } = setting;
  const { setSetting } = await import("../config/set.ts");
  const forms = choices?.map((each) => `"${each}"`).join(" or ") ?? FORMS[type] ?? type;
  writeNote(`${path}: ${description}`);
  const [is, usual] = [value, defaultValue].map((each) => printable(JSON.stringify(each)));
  writeNote(`  is ${is}, by default ${usual}; ${forms}`);
  for (;;) {
    const typed = await askValue(isSecret === true);
    if (!typed) return false;
    try {
      await setSetting(context.home, path, typed === EMPTY && type === "string" ? "" : typed);
      writeNote(`set ${path}`);
      return true;
    } catch (error) {
      if (!isCryptoError(error) || !AGAIN.has(error.code)) throw error;
      writeNote(error.message);
    }
  }
}

const askValue = async (isSecret: boolean): Promise<string | undefined> => {
  const question = "New value (Enter leaves it): ";
  if (!isSecret) return (await askLine(question))?.trim();
  const bytes = await askSecret(question);
  const text = bytes && new TextDecoder().decode(bytes);
  bytes?.fill(0);
  return text;
};

/** What stands for the empty text, since Enter leaves a setting as it is. */
const EMPTY = '""';

const FORMS: Readonly<Record<string, string>> = {
  boolean: "true or false",
  integer: "a whole number",
  number: "a number",
  string: `text, ${EMPTY} for none`,
  array: 'a JSON list, as ["a", "b"]',
  object: 'JSON, as {"a": "b"}',
};

/** Faults of what was typed. */
const AGAIN: ReadonlySet<string> = new Set(["ERR_CONFIG", "ERR_INVALID_ARGUMENT"]);

import type { Handler } from "../cli/command.ts";
import { printable } from "../cli/output.ts";

/** Shows one setting or a group of them; a token is hidden. */
export const run: Handler = async ({ home }, args) => {
  const { getSetting } = await import("../config/get.ts");
  const key = args.positional("KEY");
  const value = await getSetting(home, key);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return { data: { key, value }, text: printable(text) };
};
